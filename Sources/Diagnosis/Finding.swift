/// The subjects that `holdfast doctor` examines.
package enum Subject: String, CaseIterable, Sendable {
    case service
    case machines
    case servers
    case versions = "HTTP versions"
    case operators = "operator pages"
    case parameters
    case delivery
    case streams
    case buffering
    case pace = "holds at once"
    case departures
    case holdTime = "hold time"
    case compression
    case urlLength = "URL length"
    case crossOrigin = "CORS"
    case room = "connections"
}

package enum Verdict: String, Sendable {
    case ok, problem
    /// Worth knowing, but not a fault.
    case note
    case unknown = "cannot tell"
}

/// The result for one subject, and for problems what to change.
package struct Finding: Equatable, Sendable {
    package let subject: Subject
    package let verdict: Verdict
    package let sentence: String
    /// Lines of configuration, each with the place where it belongs.
    package let advice: [String]

    package init(
        _ subject: Subject,
        _ verdict: Verdict,
        _ sentence: String,
        _ advice: [String] = []
    ) {
        self.subject = subject
        self.verdict = verdict
        self.sentence = sentence
        self.advice = advice
    }

    /// For people: verdict, subject and sentence, and below them what to change.
    package var lines: [String] {
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        return [padded(verdict.rawValue, 13) + padded(subject.rawValue, 16) + sentence]
            + advice.map { String(repeating: " ", count: 29) + $0 }
    }
}

extension [Finding] {
    /// 1 if there is a problem; what cannot be determined is not a problem.
    package var exitCode: Int32 { contains { $0.verdict == .problem } ? 1 : 0 }
}
