internal import Configuration
internal import Logging
internal import Synchronization

/// The least level that is logged; SIGHUP may change it.
final class LogLevel: Sendable {
    private let level: Mutex<Logger.Level>

    init(_ level: LogSettings.Level) { self.level = Mutex(Self.level(level)) }

    func set(_ new: LogSettings.Level) { level.withLock { $0 = Self.level(new) } }

    var current: Logger.Level { level.withLock { $0 } }

    private static func level(_ level: LogSettings.Level) -> Logger.Level {
        switch level {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}

/// Writes one line per event to standard error.
///
/// This replaces swift-log's stream handler, because a client must not be able to write lines or control characters
/// into the log.
struct LineLogHandler: LogHandler {
    private let shared: LogLevel
    var metadata: Logger.Metadata = [:]

    init(shared: LogLevel) { self.shared = shared }

    var logLevel: Logger.Level {
        get { shared.current }
        set {}
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        LogSink.standardError.write(event.level, "\(event.message)", all)
    }
}
