import Channels
import DequeModule
import Engine
import System

/// The thread that sends publications to the engine, and asks it how far it is.
///
/// One group is under way at a time, in one transaction; what comes meanwhile forms the next one. After an ambiguous
/// failure, the same group goes to a new connection under the same id, as long as its publishers wait.
final class EnginePublisher {
    /// A little less than a publisher waits.
    private static let patienceMilliseconds: Int64 = 1800
    /// After this long without an engine, publishers are refused at once.
    private static let lossMilliseconds: Int64 = 2000
    /// How long a cursor from another machine waits for this one to be as far.
    private static let catchUpMilliseconds: Int64 = 5000
    private static let lookMilliseconds: Int64 = 2000
    private static let membersMilliseconds: Int64 = 5000
    /// Publishers and questions wait while a probe is under way.
    private static let probeMilliseconds: Int64 = 1000
    /// After this long without a publication, a probe shows whether one would be taken.
    private static let quietMilliseconds: Int64 = 10_000
    private static let firstProbePause: Int64 = 2000
    private static let longestProbePause: Int64 = 60_000
    /// Longer than any publisher waits.
    private static let doubtMilliseconds: Int64 = 3000

    private let shared: LogShared
    private let link: EngineLink
    private var session: EngineSession?
    private var queue: Deque<Append> = []
    private var questions: [ReadRequest] = []
    private var stopping = false
    /// The newest entry that this process knows of by the engine, and its epoch.
    private var known = EnginePosition.none
    private var knownEpoch = ""
    private var knownAt: Int64 = 0
    private var attachment = EngineLink.Attachment()
    private var nextConnection: Int64 = 0
    private var nextLook: Int64 = 0
    private var nextMembers: Int64 = 0
    /// An append has failed since the last successful one: a connection alone does not show that publishing works.
    private var isDoubtful = false
    /// The first one immediately after the start.
    private var nextProbe: Int64 = 0
    /// Grows when publishing fails again although an empty append was done, as on a full disk.
    private var probePause = firstProbePause
    /// Since when there has been no connection.
    private var lostAt: Int64?

    init(_ shared: LogShared, _ link: EngineLink) {
        (self.shared, self.link) = (shared, link)
    }

    func run() {
        // At once, so that the first publisher does not wait for it, and it is known whether this machine is behind.
        look()
        while true {
            for command in link.box.take(waitingMilliseconds: pause) {
                switch command {
                case .append(let append): queue.append(append)
                case .ask(let request): questions.append(request)
                case .stop: stopping = true
                }
            }
            if !questions.isEmpty { ask() }
            if !queue.isEmpty { append(takeGroup()) }
            link.expire(now: MonotonicClock.milliseconds(), shared)
            if stopping, queue.isEmpty {
                session = nil
                // What still waits for this machine has been committed.
                link.expire(now: .max, shared)
                return
            }
            look()
            link.noteLag(shared)
        }
    }

    /// Checks from time to time whether the engine can be reached and how far it is, so that readiness is known without
    /// publications.
    private func look() {
        let isNew = session?.isOpen != true
        guard connected(until: MonotonicClock.milliseconds()) != nil else { return link.missed() }
        // Before this machine counts as up to date, and so as ready.
        if !isDoubtful { probe() }
        guard let session = connected(until: MonotonicClock.milliseconds()) else {
            return link.missed()
        }
        let now = MonotonicClock.milliseconds()
        guard isNew || now >= nextLook else { return }
        nextLook = now + Self.lookMilliseconds
        do throws(EngineError) {
            let deadline = now + Self.patienceMilliseconds
            link.looked(try session.look(deadline: deadline), askedAt: now, shared)
            if isNew || now >= nextMembers {
                nextMembers = now + Self.membersMilliseconds
                link.saw(try session.members(deadline: deadline))
                link.saw(outbox: try session.backlog(deadline: deadline))
            }
        } catch {
            self.session = nil
            lostAt = lostAt ?? now
            if connected(until: now) == nil { link.missed() }
        }
        if isDoubtful { probe() }
    }

    // MARK: Whether publishing works

    /// An append has failed.
    private func doubt(_ error: EngineError) {
        say(error)
        guard !isDoubtful else { return }
        isDoubtful = true
        nextProbe = MonotonicClock.milliseconds() + probePause
        probePause = min(2 * probePause, Self.longestProbePause)
    }

    /// Makes an empty append if one is due; like every append, it takes the lock and waits for a standby.
    ///
    /// Without publications, nothing else shows that publishing does not work, for example while a standby is away:
    /// neither reading nor what a machine notes of itself waits for a standby. And a machine that is not ready gets no
    /// publication that would show that it could be.
    private func probe() {
        let now = MonotonicClock.milliseconds()
        guard now >= nextProbe, let session, session.isOpen else { return }
        do throws(EngineError) {
            _ = try session.append(
                gid: EngineSession.newGroupID(),
                known: .none,
                parts: [],
                // A publisher is told of a failure after this time.
                deadline: now + (isDoubtful ? Self.probeMilliseconds : Self.patienceMilliseconds)
            )
            works()
        } catch {
            if error.isAmbiguous || !session.isOpen { self.session = nil }
            guard !isDoubtful else { return }
            say(error)
            isDoubtful = true
            nextProbe = MonotonicClock.milliseconds() + Self.firstProbePause
        }
    }

    private func works() {
        isDoubtful = false
        nextProbe = MonotonicClock.milliseconds() + Self.quietMilliseconds
        if link.note(nil, of: .publishing, shared) {
            shared.say("the engine accepts publications again", .notice)
        }
    }

    private var pause: Int64 {
        guard queue.isEmpty, questions.isEmpty, !stopping else { return 0 }
        let now = MonotonicClock.milliseconds()
        let next = min(
            now + 1000,
            link.nextDeadline ?? .max,
            session == nil ? nextConnection : .max
        )
        return max(1, next - now)
    }

    private func takeGroup() -> EngineAppends {
        var messages = 0
        var bytes = 0
        var length = 0
        while length < queue.count {
            messages += queue[length].drafts.count + queue[length].dropping.count
            bytes += queue[length].bytes
            // One transaction must end soon.
            if length > 0, messages > LogWriter.groupMessages || bytes > 1 << 20 { break }
            length += 1
        }
        return EngineAppends(queue.take(length))
    }

    // MARK: The connection

    /// The session, made anew if necessary; tries again until then if the connection was lost recently.
    private func connected(until end: Int64) -> EngineSession? {
        while true {
            if let session, session.isOpen { return session }
            session = nil
            let now = MonotonicClock.milliseconds()
            let isRecent = lostAt.map { now - $0 < Self.lossMilliseconds } ?? true
            guard isRecent || now >= nextConnection else { return nil }
            nextConnection = now + 1000
            do throws(EngineError) {
                let made = try link.connect(&attachment, deadline: now + 1500)
                (session, lostAt) = (made, nil)
                if !isDoubtful, link.note(nil, of: .publishing, shared) {
                    shared.say("the engine can be reached again: publishing goes on", .notice)
                }
                return made
            } catch {
                if lostAt == nil { lostAt = now }
                // The attempt may have taken long.
                nextConnection = MonotonicClock.milliseconds() + 1000
                say(error)
            }
            guard isRecent, MonotonicClock.milliseconds() + 50 < end else { return nil }
            MonotonicClock.sleep(milliseconds: 50)
        }
    }

    private func say(_ error: EngineError) {
        guard link.note("\(error)", of: .publishing, shared) else { return }
        shared.say(
            "nothing can be published, and publishers get 503, because the engine fails: \(error)",
            .error
        )
    }

    // MARK: Publications

    private func append(_ group: EngineAppends) {
        let gid = EngineSession.newGroupID()
        let end = MonotonicClock.milliseconds() + Self.patienceMilliseconds
        var saidFork = false
        // An attempt was made whose outcome is not known.
        var mayBeThere = false
        while true {
            guard let session = connected(until: end) else {
                return fail(group, .unavailable, mayBeThere)
            }
            if mayBeThere { link.count { $0.repeats += 1 } }
            do throws(EngineError) {
                let receipt = try session.append(
                    gid: gid,
                    known: known,
                    parts: group.parts,
                    deadline: end
                )
                (known, knownEpoch, knownAt) = (receipt.position, receipt.epoch, receipt.at)
                link.saw(receipt.position.seq)
                link.count { $0.groups += 1 }
                return settle(group, receipt, until: end + 100)
            } catch .forked where !saidFork {
                // What was acknowledged here is gone. All its subscribers are told before anything follows it.
                saidFork = true
                do throws(EngineError) {
                    try session.fork(.inEpoch(knownEpoch), newest: knownAt, deadline: end)
                    // Not before: until then only this process may know of the loss.
                    known = .none
                } catch {
                    return fail(group, .unavailable, mayBeThere)
                }
            } catch  where error.isAmbiguous {
                mayBeThere = true
                self.session = nil
                lostAt = lostAt ?? MonotonicClock.milliseconds()
                guard MonotonicClock.milliseconds() + 50 < end else {
                    doubt(error)
                    return fail(group, .unavailable, mayBeThere)
                }
            } catch {
                if !session.isOpen { self.session = nil }
                doubt(error)
                if case .postgres(.server(let state, _)) = error, state == "53100" {
                    return fail(group, .full, mayBeThere)
                }
                if case .postgres = error {} else { self.session = nil }
                return fail(group, .unavailable, mayBeThere)
            }
        }
    }

    /// - Parameter deadline: when the publishers are answered that it is committed, although this machine is behind.
    private func settle(
        _ group: EngineAppends,
        _ receipt: EngineReceipt,
        until deadline: Int64
    ) {
        probePause = Self.firstProbePause
        works()
        let epoch = Epoch(receipt.epoch) ?? .ofNoLog
        for (append, committed) in group.outcomes(receipt) {
            guard let committed else {
                shared.deliver(.appended(ticket: append.ticket, .conflict))
                continue
            }
            link.wait(
                EngineLink.Waiter(
                    through: committed.through,
                    // After a loss, the offsets of an earlier epoch may still be here.
                    epoch: committed.isRepeated ? nil : epoch,
                    deadline: deadline,
                    answer: .appended(
                        ticket: append.ticket,
                        isRepeated: committed.isRepeated,
                        first: committed.first,
                        count: append.drafts.count,
                        epoch: epoch
                    )
                ),
                shared
            )
        }
    }

    private func fail(_ group: EngineAppends, _ outcome: AppendOutcome, _ mayBeThere: Bool) {
        link.count { counters in
            if mayBeThere {
                counters.unknown += group.all.count
            } else {
                counters.refused += group.all.count
            }
        }
        let now = MonotonicClock.milliseconds()
        for append in group.all {
            guard mayBeThere else {
                shared.deliver(.appended(ticket: append.ticket, outcome))
                continue
            }
            link.wait(
                EngineLink.Waiter(
                    through: .max,
                    deadline: now + Self.doubtMilliseconds,
                    answer: .unknown(ticket: append.ticket)
                ),
                shared
            )
        }
    }

    // MARK: Questions

    /// These are answered after the events of all that has been committed anywhere until now.
    private func ask() {
        let asked = questions
        questions = []
        let now = MonotonicClock.milliseconds()
        guard let head = askHead(until: now + Self.patienceMilliseconds) else {
            return refuse(asked)
        }
        for request in asked {
            link.wait(
                EngineLink.Waiter(
                    through: head.offset,
                    epoch: Epoch(head.epoch),
                    deadline: now + Self.catchUpMilliseconds,
                    answer: .read(request)
                ),
                shared
            )
        }
    }

    /// Also by a new connection, once: only the use of a connection shows that the server has closed it.
    private func askHead(until end: Int64) -> EngineHead? {
        for _ in 0..<2 {
            let now = MonotonicClock.milliseconds()
            guard now < end, let session = connected(until: now) else { return nil }
            do throws(EngineError) {
                return try session.look(deadline: end)
            } catch {
                if error.isAmbiguous || !session.isOpen { lostAt = lostAt ?? now }
                self.session = nil
            }
        }
        return nil
    }

    private func refuse(_ requests: [ReadRequest]) {
        for request in requests { shared.deliver(request.failed) }
    }
}
