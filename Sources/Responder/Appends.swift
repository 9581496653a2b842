internal import Bus
internal import Channels

/// The appends of a turn of the loop, on their way to the log.
///
/// The log's writer thread commits them while the loop goes on. The few of a turn that has few events are held back to its
/// end, when there is nothing else to do, and the loop commits them itself (`Log.appendAtOnce`): waking the writer and being
/// woken by it costs more than a commit. Many are worth a thread of their own.
struct Appends {
    /// The most appends that are held back in a turn, and the most events of a turn in which any are.
    private static let most = 8

    private var held: [Append] = []
    private var areHeldBack = false

    /// Before the events of a turn.
    mutating func begin(events: Int) { areHeldBack = events <= Self.most }

    mutating func add(_ append: Append, to log: Log) {
        if areHeldBack, held.count < Self.most { return held.append(append) }
        areHeldBack = false
        for append in takeHeld() { log.append(append) }
        log.append(append)
    }

    /// After the events of a turn.
    mutating func end() -> [Append] {
        areHeldBack = false
        return takeHeld()
    }

    private mutating func takeHeld() -> [Append] {
        var taken: [Append] = []
        swap(&taken, &held)
        return taken
    }
}
