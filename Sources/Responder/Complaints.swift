internal import Logging

/// Lines of the log that others can cause as often as they like: the first is written at once, and then one a minute at
/// most, with how often it came.
struct Complaints {
    enum Subject: Int, CaseIterable {
        /// A request began with the id of one that was under way.
        case idInUse
        /// libfcgi did not take a request.
        case refusedRequest
        /// The kernel does not watch one more connection.
        case notWatched
        /// What came on the socket between processes is none of theirs.
        case passedOver
    }

    private struct Matter {
        var sentence = ""
        var untold = 0
        var resumesAt = Int64.min
    }

    private var matters = [Matter](repeating: Matter(), count: Subject.allCases.count)
    static let pauseMilliseconds: Int64 = 60_000

    /// Once more. The line to write now, or nil.
    mutating func add(_ subject: Subject, _ sentence: String, now: Int64) -> String? {
        matters[subject.rawValue].sentence = sentence
        matters[subject.rawValue].untold += 1
        return line(subject.rawValue, now)
    }

    /// Lines whose time has come although nothing has happened since.
    mutating func due(now: Int64) -> [String] {
        matters.indices.compactMap { line($0, now) }
    }

    private mutating func line(_ place: Int, _ now: Int64) -> String? {
        let matter = matters[place]
        guard matter.untold > 0, now >= matter.resumesAt else { return nil }
        (matters[place].untold, matters[place].resumesAt) = (0, now + Self.pauseMilliseconds)
        return matter.untold == 1
            ? matter.sentence
            : "\(matter.sentence) (and \(matter.untold - 1) more such since the last line)"
    }
}

extension Responder {
    func complain(_ subject: Complaints.Subject, _ sentence: String) {
        if let line = complaints.add(subject, sentence, now: now) { logger.warning("\(line)") }
    }

    func tellComplaints() {
        for line in complaints.due(now: now) { logger.warning("\(line)") }
    }
}
