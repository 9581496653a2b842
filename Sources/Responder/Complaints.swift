internal import Logging

/// Lines of the log that others can cause as often as they like: the first is written at once, and then one a minute at
/// most, with how often it came.
struct Complaints {
    enum Subject: Hashable {
        /// A request began with the id of one that was under way.
        case idInUse
        /// libfcgi did not take a request.
        case refusedRequest
        /// The kernel does not watch one more connection.
        case notWatched
        /// What came on the socket between processes is none of theirs.
        case passedOver
        /// The log remembers no further channel that tells of presence.
        case placelessPresence
        /// A mistake of the web server's, by its kind; it shows in each of its requests.
        case mistake(String)
        /// A refusal, by the section of the ini file and the right that decided.
        case refusal(String)

        var level: Logger.Level {
            if case .refusal = self { return .info }
            return .warning
        }
    }

    private struct Matter {
        var sentence = ""
        var untold = 0
        var resumesAt = Int64.min
    }

    /// Those of the last minute: no more than there are kinds, and rights in the ini file.
    private var matters: [Subject: Matter] = [:]
    static let pauseMilliseconds: Int64 = 60_000

    /// Once more. The line to write now, or nil.
    mutating func add(_ subject: Subject, _ sentence: String, now: Int64) -> String? {
        matters[subject, default: Matter()].sentence = sentence
        matters[subject, default: Matter()].untold += 1
        return line(subject, now)
    }

    /// Lines whose time has come although nothing has happened since.
    mutating func due(now: Int64) -> [(subject: Subject, line: String)] {
        for (subject, matter) in matters where matter.untold == 0 && now >= matter.resumesAt {
            matters[subject] = nil
        }
        return matters.keys.compactMap { subject in line(subject, now).map { (subject, $0) } }
    }

    private mutating func line(_ subject: Subject, _ now: Int64) -> String? {
        guard let matter = matters[subject], matter.untold > 0, now >= matter.resumesAt else {
            return nil
        }
        matters[subject] = Matter(resumesAt: now + Self.pauseMilliseconds)
        return matter.untold == 1
            ? matter.sentence
            : "\(matter.sentence) (and \(matter.untold - 1) more such since the last line)"
    }
}

extension Responder {
    func complain(_ subject: Complaints.Subject, _ sentence: String) {
        guard let line = complaints.add(subject, sentence, now: now) else { return }
        logger.log(level: subject.level, "\(line)")
    }

    func tellComplaints() {
        for (subject, line) in complaints.due(now: now) {
            logger.log(level: subject.level, "\(line)")
        }
    }
}
