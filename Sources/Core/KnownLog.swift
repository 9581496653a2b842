internal import Channels

/// What the core knows of the log: its newest stretch, and what is wrong with it.
struct KnownLog {
    /// The newest stretch; nil until the log is open.
    private(set) var tail: Tail?
    /// The log has reported that it cannot be used.
    private var isInTrouble = false
    /// Publications do not get to other machines, or theirs do not arrive in time.
    private var engineTrouble: EngineTrouble?

    var isOpen: Bool { tail != nil }
    /// It is open and takes publications.
    var isAvailable: Bool { isOpen && !isInTrouble }

    var head: Offset? { tail?.head }
    var epochs: EpochHistory? { tail?.epochs }
    var epoch: Epoch? { tail?.epochs.current }

    /// The newest position; nil until the log is open.
    var position: Cursor? {
        guard let epoch, let head else { return nil }
        return Cursor(epoch: epoch, offset: head)
    }

    /// Why it does not serve all of its clients, as a clause for everyone; nil if it does.
    ///
    /// - Parameter maxLagSeconds: after this long behind the other machines, this one counts as lagging.
    func obstacle(maxLagSeconds: @autoclosure () -> Int) -> String? {
        guard isAvailable else { return "the log is not available at the moment" }
        // A load balancer sends clients to a machine where it works. The log of events says why.
        return switch engineTrouble {
        case nil: nil
        case .publishing: "nothing can be published: PostgreSQL is unreachable or rejects writes"
        case .following: "what other machines publish does not arrive"
        case .lagging:
            "this machine lags: it has lacked messages of other machines for more than "
                + "\(maxLagSeconds()) s"
        case .catchingUp: "this machine was away and is catching up with the others"
        }
    }

    // MARK: What is reported

    /// The log has this stretch: it is open, or another one has replaced it, or more was committed than memory keeps.
    ///
    /// - Parameter isOpening: it was opened, so that a trouble from before has ended.
    mutating func begin(_ tail: Tail, isOpening: Bool) {
        self.tail = tail
        if isOpening { isInTrouble = false }
    }

    /// - Returns: what of a batch is new here; nil if that is nothing, or the log is not open.
    mutating func receive(_ batch: CommittedBatch) -> CommittedBatch? { tail?.receive(batch) }

    /// The log cannot be used, until it is opened.
    mutating func failed() { isInTrouble = true }

    /// What is wrong between this machine and the others; nil: nothing.
    mutating func engine(_ trouble: EngineTrouble?) { engineTrouble = trouble }
}
