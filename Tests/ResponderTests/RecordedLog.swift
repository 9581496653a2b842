import Logging
import Synchronization

/// What a part writes to the operator's log.
final class RecordedLog: Sendable {
    private let lines = Mutex<[String]>([])

    var logger: Logger { Logger(label: "test") { [self] _ in Handler(log: self) } }

    /// Each with its level, as `warning: …`; once.
    func take() -> [String] {
        lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }

    private struct Handler: LogHandler {
        let log: RecordedLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.debug

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            log.lines.withLock { $0.append("\(event.level): \(event.message)") }
        }
    }
}
