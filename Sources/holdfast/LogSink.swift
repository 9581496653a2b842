internal import CLinux
internal import Glibc
internal import Logging
internal import Reactor
internal import Synchronization

/// Where the lines of the log go: standard error, without ever making whoever logs wait.
///
/// A pipe, a socket or a terminal takes no more where nobody reads: lines for these go through a thread of their own, and
/// through a queue that is bounded. A file takes them at once. What could not be written is counted, and told as soon as
/// something can be.
final class LogSink: Sendable {
    static let standardError = LogSink(descriptor: 2)

    private struct State {
        var queued = 0
        /// Since the last line about it, and in all.
        var untold = 0
        var lost = 0
        var hasThread = false

        mutating func lose() {
            untold += 1
            lost += 1
        }
    }

    private static let limit = 256 * 1024

    private let descriptor: Int32
    private let isFile: Bool
    private let state = Mutex(State())
    /// Nil where there was no descriptor for it: lines are written by whoever logs.
    private let lines = try? Mailbox<[UInt8]>()

    init(descriptor: Int32) {
        self.descriptor = descriptor
        var info = stat()
        isFile = unsafe fstat(descriptor, &info) == 0 && info.st_mode & S_IFMT == S_IFREG
    }

    /// Lines that could not be written.
    var lost: Int { state.withLock { $0.lost } }

    func write(_ line: [UInt8]) {
        guard !isFile, let lines else {
            tellUntold()
            return put(line)
        }
        let (fits, isFirst) = state.withLock { state in
            guard state.queued + line.count <= Self.limit else {
                state.lose()
                return (false, false)
            }
            state.queued += line.count
            defer { state.hasThread = true }
            return (true, !state.hasThread)
        }
        guard fits else { return }
        lines.post(line)
        // Without a thread nobody else could write them.
        if isFirst, !BackgroundThread.start({ [self] in writeForEver(lines) }) {
            writeAll(lines)
            state.withLock { $0.hasThread = false }
        }
    }

    /// Waits for what is queued, but not for ever: before the process ends.
    func flush(milliseconds: Int64 = 1000) {
        let end = MonotonicClock.milliseconds() + milliseconds
        while state.withLock({ $0.queued }) > 0, MonotonicClock.milliseconds() < end {
            _ = poll(nil, 0, 2)
        }
    }

    private func writeForEver(_ lines: Mailbox<[UInt8]>) {
        while true {
            var wanted = pollfd(fd: lines.descriptor, events: Int16(POLLIN), revents: 0)
            _ = unsafe poll(&wanted, 1, -1)
            writeAll(lines)
        }
    }

    private func writeAll(_ lines: Mailbox<[UInt8]>) {
        for line in lines.takeAll() {
            put(line)
            state.withLock { $0.queued -= line.count }
        }
        // What found no room in the queue came after what was in it.
        tellUntold()
    }

    private func put(_ line: [UInt8]) {
        // One write, so that lines of several processes on one file do not mix.
        if !SystemCalls.writeAll(descriptor, line) { state.withLock { $0.lose() } }
    }

    private func tellUntold() {
        let untold = state.withLock { $0.untold }
        guard untold > 0 else { return }
        let note = "\(untold) lines of the log could not be written here"
        guard SystemCalls.writeAll(descriptor, LineLogHandler.line(.warning, note)) else { return }
        state.withLock { $0.untold -= untold }
    }
}
