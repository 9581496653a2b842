/// Whether a part of an answer reaches the client before its end.
package struct BufferingObservation: Sendable {
    /// What of an answer came while it was not complete.
    package enum Part: Equatable, Sendable {
        case body, headAlone
        /// Of a stream the beginning, and no message that was published after it.
        case beginningAlone(seconds: Int)
        case nothing(seconds: Int)
        /// There was no such answer: streams may be unknown, the channel closed.
        case refused(status: Int)
    }

    package var stream: Part
    package var hold: Part?
    /// Holds begin with their head and a blank.
    package var isProbed = false

    package init(stream: Part, hold: Part?, isProbed: Bool = false) {
        self.stream = stream
        self.hold = hold
        self.isProbed = isProbed
    }

    package func finding(behind server: FrontEnd) -> Finding {
        switch stream {
        case .body: return Finding(.buffering, .ok, "The events of a stream come at once.")
        case .beginningAlone(let seconds):
            return problem(
                "of a stream only the beginning reaches the client, and no message within \(seconds) s",
                server
            )
        case .headAlone:
            return problem("of a stream only the head reaches the client before its end", server)
        case .nothing(let seconds):
            return problem("nothing of a stream reaches the client within \(seconds) s", server)
        case .refused: break
        }
        switch hold {
        case .body:
            return Finding(.buffering, .ok, "The first byte of a held answer comes before its end.")
        case .headAlone where isProbed, .beginningAlone:
            return problem("of a probed answer only the head reaches the client", server)
        case .headAlone:
            return Finding(.buffering, .ok, "The head of a held answer comes before its end.")
        case .nothing(let seconds) where isProbed:
            return problem(
                "nothing of a held answer reaches the client within \(seconds) s, although it is probed",
                server
            )
        case .nothing:
            return Finding(
                .buffering,
                .unknown,
                "This front end is not probed: nothing of a held answer is sent before its end."
            )
        case .refused(let status):
            return Finding(.buffering, .unknown, "No request is held (\(status)).")
        case nil: return Finding(.buffering, .unknown, "No channel is open to this request.")
        }
    }

    private func problem(_ sentence: String, _ server: FrontEnd) -> Finding {
        Finding(
            .buffering,
            .problem,
            "Answers are kept back on the way: \(sentence).",
            Remedy.buffers.advice(for: server)
        )
    }
}
