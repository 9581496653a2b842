internal import Channels
internal import Configuration
internal import Identity
internal import Liveness

/// The last poll of those that have their variables in common. What they ask for is the same, as far as it does not depend
/// on whose they are: who comes, with what right, and for how long it may be held is judged for each.
package struct PollMemory: Sendable {
    /// A class, so that it is lent without a copy.
    fileprivate final class Kept: Sendable {
        /// By whose settings.
        let interface: HTTPInterface
        /// Of the requests: no others have this very object.
        let fields: ParsedFields
        let poll: Poll
        let isOpenToEveryone: Bool

        init(
            _ interface: HTTPInterface,
            _ fields: ParsedFields,
            _ poll: Poll,
            isOpenToEveryone: Bool
        ) {
            self.interface = interface
            self.fields = fields
            self.poll = poll
            self.isOpenToEveryone = isOpenToEveryone
        }
    }

    fileprivate var kept: Kept?

    package init() {}
}

extension HTTPInterface {
    /// As `intent(of:random:)`, and sooner for a request that has its variables in common with the last one.
    package func intent(
        of request: borrowing CGIRequest,
        random: UInt32,
        _ memory: inout PollMemory
    ) -> Intent {
        guard let fields = request.fields else { return intent(of: request, random: random) }
        if let kept = memory.kept, kept.fields === fields, kept.interface === self {
            do throws(Problem) {
                return .subscribe(try poll(like: kept, request, random))
            } catch {
                return .answer(kept.poll.subscription.shape.answer(error))
            }
        }
        let intent = intent(of: request, random: random)
        if case .subscribe(let poll) = intent { keep(poll, request, fields, &memory) }
        return intent
    }

    /// Keeps a poll, if all that is not the same for the next one is judged in `poll(like:)`.
    private func keep(
        _ poll: Poll,
        _ request: borrowing CGIRequest,
        _ fields: ParsedFields,
        _ memory: inout PollMemory
    ) {
        let channels = poll.subscription.channels
        let isOpen = channels.allSatisfy(isOpenToEveryone)
        // Not by a body, a cookie or a signed link; and the first of several channels that is refused is the first named.
        guard request.method != "POST", request.method != "QUERY", poll.subscription.cookie == nil,
            fields.query.signature == nil, isOpen || channels.count == 1
        else { return }
        memory.kept = PollMemory.Kept(self, fields, poll, isOpenToEveryone: isOpen)
    }

    /// In the order of `subscribe`, so that of two faults the same one is told.
    private func poll(
        like kept: PollMemory.Kept,
        _ request: borrowing CGIRequest,
        _ random: UInt32
    ) throws(Problem) -> Poll {
        if request.own?.isMalformed == true { throw .malformedPath }
        let channels = kept.poll.subscription.channels
        let shown = ring.isEmpty ? Shown() : try shown(by: request)
        var origin = try origin(
            request.own ?? kept.fields.query.own,
            channels,
            request,
            showing: shown
        )
        let basis =
            kept.isOpenToEveryone
            ? ChannelRights.Basis() : try readers(of: channels, shown, request)
        origin.right = basis.right(at: request.clock)
        return Poll(
            subscription: kept.poll.subscription,
            start: kept.poll.start,
            waitSeconds: kept.poll.waitSeconds,
            waitMilliseconds: holdMilliseconds(kept.poll.waitSeconds, basis, random),
            ifNoneMatch: kept.poll.ifNoneMatch,
            origin: origin,
            isRevalidating: kept.poll.isRevalidating,
            cacheSeconds: kept.poll.cacheSeconds
        )
    }
}
