/// Whether a whole hold passes.
package struct HoldObservation: Sendable {
    package enum Outcome: Equatable, Sendable {
        /// An answer of Holdfast's, complete.
        case whole
        /// A whole answer that a message brought about.
        case messages
        /// The status where there was one, else what curl says.
        case cut(String)
        case stillHeld
        case refused(status: Int)
    }

    package let outcome: Outcome
    package let milliseconds: Int
    package let grantedSeconds: Int?

    package init(outcome: Outcome, milliseconds: Int, grantedSeconds: Int?) {
        self.outcome = outcome
        self.milliseconds = milliseconds
        self.grantedSeconds = grantedSeconds
    }

    package func finding(behind way: Way) -> Finding {
        let seconds = "\((milliseconds + 500) / 1000) s"
        switch outcome {
        case .whole:
            // Holds may end early for reasons of Holdfast's own.
            if let grantedSeconds, milliseconds < grantedSeconds * 500 {
                return Finding(
                    .holdTime,
                    .unknown,
                    "The hold was answered after \(seconds) although \(grantedSeconds) s are granted."
                )
            }
            return Finding(.holdTime, .ok, "A whole hold, of \(seconds), is not cut on the way.")
        case .messages:
            return Finding(
                .holdTime,
                .unknown,
                "A message ended the hold after \(seconds); a channel that nobody else uses would show a whole one."
            )
        case .cut(let how):
            return Finding(
                .holdTime,
                .problem,
                "A hold is cut on the way after \(seconds): \(how).",
                Remedy.cutsHolds.advice(for: way)
            )
        case .stillHeld:
            let need = grantedSeconds.map { "--patience \($0 + 5)" } ?? "a longer --patience"
            return Finding(
                .holdTime,
                .unknown,
                "Not cut within \(seconds), but the hold is longer; \(need) waits for its end."
            )
        case .refused(let status):
            return Finding(.holdTime, .unknown, "No request is held (\(status)).")
        }
    }
}
