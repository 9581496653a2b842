internal import Configuration
internal import Glibc
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

/// Writes one line per event to standard error: `2026-01-31T12:00:00Z notice serving listen=…`.
///
/// This replaces swift-log's stream handler, because a client must not be able to write lines or control characters
/// into the log: they are written as `\u{…}`.
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
        LogSink.standardError.write(Self.line(event.level, "\(event.message)", all))
    }

    static func line(
        _ level: Logger.Level,
        _ message: String,
        _ metadata: Logger.Metadata = [:]
    ) -> [UInt8] {
        var line = "\(timestamp()) \(level) \(printable(message))"
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\(printable("\(value)"))"
        }
        return Array((line + "\n").utf8)
    }

    static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var safe = ""
        for scalar in text.unicodeScalars {
            if isControl(scalar) {
                safe += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                safe.unicodeScalars.append(scalar)
            }
        }
        return safe
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }

    private static func timestamp() -> String {
        var now = time(nil)
        var parts = unsafe tm()
        unsafe gmtime_r(&now, &parts)
        var text = [CChar](repeating: 0, count: 32)
        let length = unsafe strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        return String(decoding: text[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
