import Channels
import Synchronization
import System

/// The writer thread: lets the writer work whenever something was asked of it, or is due.
struct WriterThread {
    /// How long to spin for the next append if that has paid: less than sleeping and being woken costs. It pays if a
    /// thread of this process appends as soon as it gets the last outcome, and does not if a publisher in another
    /// process does.
    private static let spinMicroseconds: Int64 = 25
    /// After this many commits, another attempt shows whether it pays.
    private static let spinTrial = 64

    let shared: LogShared
    let writer: SharedWriter

    func run() {
        /// Commits until waiting by spinning is tried; 0: it paid last time.
        var commitsToSpin = 0
        while let rest = writer.turn() {
            if rest.milliseconds == 0 { continue }
            if rest.hasCommitted, commitsToSpin > 0 {
                commitsToSpin -= 1
            } else if rest.hasCommitted {
                if shared.writerBox.spin(microseconds: Self.spinMicroseconds) { continue }
                commitsToSpin = Self.spinTrial
            }
            shared.writerBox.wait(milliseconds: rest.milliseconds)
        }
    }
}

/// The writer, for the writer thread and for a thread that appends.
final class SharedWriter: Sendable {
    private let writer: Mutex<LogWriter>

    init(_ shared: LogShared) { writer = Mutex(LogWriter(shared)) }

    func turn() -> LogWriter.Rest? { writer.withLock { $0.turn() } }

    /// See `LogWriter.appendAtOnce`; returns 0, at once, if the writer works already.
    func appendAtOnce(_ appends: [Append]) -> Int {
        writer.withLockIfAvailable { $0.appendAtOnce(appends) } ?? 0
    }
}
