internal import Foundation

/// Why the harness could not do what a test asked for; a sentence for the person who reads the failure.
package struct HarnessError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }

    /// The errno of the call just made.
    static func system(_ what: String) -> HarnessError {
        let code = errno
        return HarnessError("\(what): \(String(cString: strerror(code))) (\(code))")
    }
}

/// A point in time by the monotonic clock.
///
/// No test measures how long something takes: a deadline only keeps a failure from hanging for ever.
package struct Deadline {
    /// Long enough for a loaded machine under a sanitizer; HOLDFAST_PATIENCE sets another.
    package static let patienceSeconds =
        ProcessInfo.processInfo.environment["HOLDFAST_PATIENCE"].flatMap { Double($0) } ?? 60

    private let end: ContinuousClock.Instant

    package init(seconds: Double = patienceSeconds) {
        end = ContinuousClock.now + .milliseconds(Int64(seconds * 1000))
    }

    package var isOver: Bool { ContinuousClock.now >= end }

    /// What is left for `poll`; never negative.
    var milliseconds: Int32 {
        let left = (end - ContinuousClock.now).components
        return Int32(
            clamping: max(0, left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000)
        )
    }
}

/// Tries until there is a value.
@discardableResult
package func waitFor<Value>(
    _ what: @autoclosure () -> String,
    seconds: Double = Deadline.patienceSeconds,
    _ attempt: () throws -> Value?
) throws -> Value {
    let deadline = Deadline(seconds: seconds)
    while true {
        if let value = try attempt() { return value }
        if deadline.isOver { throw HarnessError("waited \(seconds) s in vain: \(what())") }
        poll(nil, 0, 5)
    }
}

/// Tries until it is so.
package func waitUntil(
    _ what: @autoclosure () -> String,
    seconds: Double = Deadline.patienceSeconds,
    _ condition: () throws -> Bool
) throws {
    try waitFor(what(), seconds: seconds) { try condition() ? () : nil }
}
