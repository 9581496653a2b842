/// Whether a whole hold gets through.
package struct HoldObservation: Sendable {
    package enum Outcome: Equatable, Sendable {
        /// A complete answer of Holdfast, without messages.
        case whole
        /// A complete answer that a message released.
        case messages
        /// With the status, or else curl's error message.
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

    package func finding(behind servers: ServerChain) -> Finding {
        let seconds = "\((milliseconds + 500) / 1000) s"
        switch outcome {
        case .whole:
            // Holdfast may end holds early for reasons of its own.
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
                "A message ended the hold after \(seconds); use a channel that nobody else uses."
            )
        case .cut(let how):
            return Finding(
                .holdTime,
                .problem,
                "A hold is cut on the way after \(seconds): \(how).",
                Remedy.cutsHolds.advice(for: servers)
            )
        case .stillHeld:
            let need = grantedSeconds.map { "--patience \($0 + 5)" } ?? "a longer --patience"
            return Finding(
                .holdTime,
                .unknown,
                "The hold is not cut within \(seconds), but it is longer; \(need) waits for its end."
            )
        case .refused(let status):
            return Finding(.holdTime, .unknown, "No request is held (\(status)).")
        }
    }
}
