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
    /// How long each event took from its commit to the client, where any came.
    package var delays: [Int]

    package init(stream: Part, hold: Part?, isProbed: Bool = false, delays: [Int] = []) {
        self.stream = stream
        self.hold = hold
        self.isProbed = isProbed
        self.delays = delays
    }

    /// What a system holds back of a small packet (Nagle, MSG_MORE) comes 200 ms late, or 40; each one does.
    private static let lateMilliseconds = 150

    package func finding(behind way: Way) -> Finding {
        switch stream {
        case .body:
            if let quickest = delays.min(), quickest >= Self.lateMilliseconds {
                return Finding(
                    .buffering,
                    .problem,
                    "The events of a stream come late, each by \(quickest) ms or more.",
                    Remedy.delaysEvents.advice(for: way)
                        + (way.proxy == nil && way.server != .haproxy
                            ? ["or, if HAProxy stands before it: option http-no-delay"] : [])
                )
            }
            return Finding(.buffering, .ok, "The events of a stream come at once.")
        case .beginningAlone(let seconds):
            return problem(
                "of a stream only the beginning reaches the client, and no message within \(seconds) s",
                way
            )
        case .headAlone:
            return problem("of a stream only the head reaches the client before its end", way)
        case .nothing(let seconds):
            return problem("nothing of a stream reaches the client within \(seconds) s", way)
        case .refused: break
        }
        switch hold {
        case .body:
            return Finding(.buffering, .ok, "The first byte of a held answer comes before its end.")
        case .headAlone where isProbed, .beginningAlone:
            return problem("of a probed answer only the head reaches the client", way)
        case .headAlone:
            return Finding(.buffering, .ok, "The head of a held answer comes before its end.")
        case .nothing(let seconds) where isProbed:
            return problem(
                "nothing of a held answer reaches the client within \(seconds) s, although it is probed",
                way
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

    private func problem(_ sentence: String, _ way: Way) -> Finding {
        Finding(
            .buffering,
            .problem,
            "Answers are kept back on the way: \(sentence).",
            Remedy.buffers.advice(for: way)
        )
    }
}
