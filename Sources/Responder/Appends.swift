internal import Bus
internal import Channels

/// The appends of a turn of the loop, on their way to the log.
///
/// The log's writer thread commits them while the loop goes on, and a group of them at once. One that comes alone, with the
/// last event of a turn, the loop commits itself (`Log.appendAtOnce`): there is nothing else for it to do, and to wake
/// the writer and to be woken by it costs more than the commit.
struct Appends {
    /// Whether the event that is dispatched now is the last one of the turn.
    var isLastEvent = false
    private var lone: Append?

    mutating func add(_ append: Append, to log: Log) {
        if isLastEvent, lone == nil {
            lone = append
            return
        }
        if let first = takeLoneOne() { log.append(first) }
        log.append(append)
    }

    /// After the last event: the append that came alone with it.
    mutating func takeLoneOne() -> Append? {
        isLastEvent = false
        return lone.take()
    }
}
