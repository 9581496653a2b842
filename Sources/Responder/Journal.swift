internal import Channels
internal import Core
internal import Endpoint
internal import FastCGI
internal import Logging

/// The operator's log, with bounds on the lines that others can cause at will.
struct Journal {
    let logger: Logger
    private var complaints = Complaints()
    private var violations = ThrottledCount(milliseconds: 10_000)
    private var closings = ThrottledCount(milliseconds: 10_000)

    init(_ logger: Logger) { self.logger = logger }

    func note(_ sentence: String, _ level: NoticeLevel) {
        switch level {
        case .notice: logger.notice("\(sentence)")
        case .warning: logger.warning("\(sentence)")
        case .error: logger.error("\(sentence)")
        }
    }

    /// An event of a request. Called only at the level debug.
    func note(_ trace: RequestTrace) {
        var fields: Logger.Metadata = ["request": "\(trace.name.text)"]
        let message: Logger.Message
        switch trace.event {
        case .begins(let method, let path):
            message = "request"
            (fields["method"], fields["path"]) = ("\(method)", "\(path)")
        case .held: message = "request held"
        case .answered(let status):
            message = "request answered"
            fields["status"] = "\(status)"
        case .ended(let reason):
            message = "request ended"
            fields["reason"] = "\(reason)"
        }
        logger.debug(message, metadata: fields)
    }

    /// Logs at once the first time, then at most once a minute.
    mutating func complain(_ subject: Complaints.Subject, _ sentence: String, now: Int64) {
        guard let line = complaints.add(subject, sentence, now: now) else { return }
        logger.log(level: subject.level, "\(line)")
    }

    /// A peer broke the protocol. Any peer could fill the log with these lines, so there is one in ten seconds.
    mutating func note(_ violation: FramingViolation, now: Int64) {
        violations.add()
        guard violations.take(now: now) != nil else { return }
        let what: Logger.Message =
            if violation.isHTTP || violation.isTLS {
                """
                connection closed: it spoke HTTP or TLS to the FastCGI socket; the web server must be told to speak FastCGI, \
                as by fastcgi_pass (nginx), not proxy_pass
                """
            } else if violation.isCommand {
                "connection closed: it sent commands of the bus to the FastCGI socket; see socket in [bus]"
            } else {
                "connection closed: its records violate FastCGI 1.0"
            }
        logger.warning(
            what,
            metadata: ["what": "\(violation)", "so_far": "\(violations.total)"]
        )
    }

    /// This many connections were closed because all together had too many unsent bytes.
    mutating func noteClosed(_ count: Int, limit: Int, now: Int64) {
        closings.add(count)
        guard let closed = closings.take(now: now) else { return }
        logger.warning(
            "closed connections whose peers do not read: all unsent bytes together reached unsent_bytes_total of [limits]",
            metadata: ["closed": "\(closed)", "unsent_bytes_total": "\(limit)"]
        )
    }

    /// Monotonic milliseconds when `turn` has a line to write.
    var alarm: Int64 { min(complaints.alarm, closings.alarm) }

    /// Writes the lines that are due although nothing has happened since.
    mutating func turn(unsentLimit: Int, now: Int64) {
        noteClosed(0, limit: unsentLimit, now: now)
        for (subject, line) in complaints.due(now: now) {
            logger.log(level: subject.level, "\(line)")
        }
    }
}

/// Lines of the log that others can cause at will: the first is written at once, then at most one a minute, with the
/// number of repetitions.
struct Complaints {
    enum Subject: Hashable {
        /// A complaint of the core.
        case core(Complaint)
        /// libfcgi did not take a request.
        case refusedRequest
        /// The kernel does not watch one more connection.
        case notWatched
        /// A datagram between processes was not one of theirs.
        case passedOver

        var level: Logger.Level {
            if case .core(.refusal) = self { return .info }
            return .warning
        }
    }

    private struct Matter {
        var sentence = ""
        var count = ThrottledCount(milliseconds: 60_000)
    }

    /// The complaints of the last minute: at most one for each kind, and for each right in the ini file.
    private var matters: [Subject: Matter] = [:]

    /// Counts a complaint; returns the line to write now, or nil.
    mutating func add(_ subject: Subject, _ sentence: String, now: Int64) -> String? {
        matters[subject, default: Matter()].sentence = sentence
        matters[subject, default: Matter()].count.add()
        return line(subject, now)
    }

    /// Monotonic milliseconds when a line is due, or a complaint may be forgotten.
    private(set) var alarm = Int64.max

    /// The lines that are due although nothing has happened since.
    mutating func due(now: Int64) -> [(subject: Subject, line: String)] {
        matters = matters.filter { $0.value.count.pending > 0 || now < $0.value.count.resumesAt }
        let lines = matters.keys.compactMap { subject in line(subject, now).map { (subject, $0) } }
        alarm = matters.values.reduce(.max) { min($0, $1.count.resumesAt) }
        return lines
    }

    private mutating func line(_ subject: Subject, _ now: Int64) -> String? {
        guard var matter = matters[subject], let count = matter.count.take(now: now) else {
            return nil
        }
        matters[subject] = matter
        alarm = min(alarm, matter.count.resumesAt)
        return count == 1
            ? matter.sentence
            : "\(matter.sentence) (and \(count - 1) more such since the last line)"
    }
}
