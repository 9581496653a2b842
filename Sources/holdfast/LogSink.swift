internal import CLinux
internal import Configuration
internal import Glibc
internal import Logging
internal import Synchronization
internal import System
internal import Text

/// Writes the lines of the log to standard error without ever blocking the thread that logs.
///
/// A pipe, a socket or a terminal that nobody reads stops accepting bytes: lines for these go through a bounded queue
/// and a thread of their own. A file accepts lines at once. Lines that cannot be written are counted, and the count is
/// logged as soon as a line can be written.
final class LogSink: Sendable {
    static let standardError = LogSink(descriptor: 2)

    private struct State {
        var queued = 0
        /// Lost lines that no line has reported yet, and all lost lines.
        var unreported = 0
        var lost = 0
        var hasThread = false

        mutating func lose() {
            unreported += 1
            lost += 1
        }
    }

    private static let limit = 256 * 1024

    /// The format of lines from now on.
    private let format = Mutex(LogSettings.Format.text)
    private let descriptor: Int32
    private let isFile: Bool
    private let state = Mutex(State())
    /// Nil if no descriptor was left for it: the thread that logs then writes the lines.
    private let lines = try? Mailbox<[UInt8]>()

    init(descriptor: Int32) {
        self.descriptor = descriptor
        var info = stat()
        isFile = unsafe fstat(descriptor, &info) == 0 && info.st_mode & S_IFMT == S_IFREG
    }

    /// The number of lines that could not be written.
    var lost: Int { state.withLock { $0.lost } }

    func setFormat(_ new: LogSettings.Format) { format.withLock { $0 = new } }

    func write(_ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata) {
        write(line(level, message, metadata))
    }

    private func line(
        _ level: Logger.Level,
        _ message: String,
        _ metadata: Logger.Metadata = [:]
    ) -> [UInt8] {
        let line = LogLine(
            time: Self.timestamp(),
            level: level.rawValue,
            message: message,
            fields: metadata.mapValues { "\($0)" }
        )
        let text =
            switch format.withLock({ $0 }) {
            case .text: line.text
            case .logfmt: line.logfmt
            case .json: line.json
            }
        return Array((text + "\n").utf8)
    }

    private static func timestamp() -> String {
        var text: [UInt8] = []
        text.append(timeMilliseconds: SystemClock.wallMilliseconds(), showsMilliseconds: false)
        return String(decoding: text, as: UTF8.self)
    }

    private func write(_ line: [UInt8]) {
        guard !isFile, let lines else {
            reportLost()
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
        // There is no other thread to write them.
        if isFirst, WorkerThread(name: "hf-lines", { [self] in writeForEver(lines) }) == nil {
            writeAll(lines)
            state.withLock { $0.hasThread = false }
        }
    }

    /// Waits a limited time for the queued lines, before the process ends.
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
        // Lines that were lost came after the lines in the queue.
        reportLost()
    }

    private func put(_ line: [UInt8]) {
        // One write per line, so that lines of several processes in one file do not mix.
        if !SystemCalls.writeAll(descriptor, line) { state.withLock { $0.lose() } }
    }

    private func reportLost() {
        let unreported = state.withLock { $0.unreported }
        guard unreported > 0 else { return }
        let note = "\(unreported) lines of the log could not be written here"
        guard SystemCalls.writeAll(descriptor, line(.warning, note)) else { return }
        state.withLock { $0.unreported -= unreported }
    }
}
