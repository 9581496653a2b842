/// Whether parts of an answer reach the client before its end.
package struct BufferingObservation: Sendable {
    /// The part of an answer that arrived before it was complete.
    package enum Part: Equatable, Sendable {
        case body, headAlone
        /// The beginning of a stream, but no message published after that.
        case beginningAlone(seconds: Int)
        case nothing(seconds: Int)
        /// There is no such answer: streams may be unknown, or the channel closed.
        case refused(status: Int)
    }

    package var stream: Part
    package var hold: Part?
    /// Held answers begin with their head and a blank.
    package var isProbed = false
    /// Milliseconds from the commit of each event to its arrival; empty if none arrived.
    package var delays: [Int]
    /// Whether the head of the stream had the field `Incremental: ?1` (RFC 10036); nil if no head came.
    package var isIncremental: Bool?

    package init(
        stream: Part,
        hold: Part?,
        isProbed: Bool = false,
        delays: [Int] = [],
        isIncremental: Bool? = nil
    ) {
        self.stream = stream
        self.hold = hold
        self.isProbed = isProbed
        self.delays = delays
        self.isIncremental = isIncremental
    }

    /// Delays of small packets by the system (Nagle, MSG_MORE) are 200 or 40 ms, and each packet has them.
    private static let lateMilliseconds = 150

    package func finding(behind servers: ServerChain) -> Finding {
        switch stream {
        case .body:
            if let quickest = delays.min(), quickest >= Self.lateMilliseconds {
                return Finding(
                    .buffering,
                    .problem,
                    "The events of a stream are late, each by \(quickest) ms or more.",
                    Remedy.delaysEvents.advice(for: servers)
                        + (servers.proxy == nil && servers.server != .haproxy
                            ? ["or, if HAProxy is in front of it: option http-no-delay"] : [])
                )
            }
            return Finding(
                .buffering,
                .ok,
                "The events of a stream arrive at once."
                    + (isIncremental == false
                        ? " A server on the way removes the field Incremental, by which those after it would know not to buffer."
                        : "")
            )
        case .beginningAlone(let seconds):
            return problem(
                "only the beginning of a stream reaches the client, and no message within \(seconds) s",
                servers
            )
        case .headAlone:
            return problem("only the head of a stream reaches the client before its end", servers)
        case .nothing(let seconds):
            return problem("nothing of a stream reaches the client within \(seconds) s", servers)
        case .refused: break
        }
        switch hold {
        case .body:
            return Finding(
                .buffering,
                .ok,
                "The first byte of a held answer arrives before its end."
            )
        case .headAlone where isProbed, .beginningAlone:
            return problem("only the head of a probed answer reaches the client", servers)
        case .headAlone:
            return Finding(.buffering, .ok, "The head of a held answer arrives before its end.")
        case .nothing(let seconds) where isProbed:
            return problem(
                "nothing of a held answer reaches the client within \(seconds) s, although it is probed",
                servers
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

    private func problem(_ sentence: String, _ servers: ServerChain) -> Finding {
        Finding(
            .buffering,
            .problem,
            "Answers are buffered on the way: \(sentence).",
            Remedy.buffers.advice(for: servers)
        )
    }
}
