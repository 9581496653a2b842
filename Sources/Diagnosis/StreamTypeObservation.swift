/// Whether `Accept` reaches Holdfast: a browser's EventSource asks for a stream by it.
package struct StreamTypeObservation: Sendable {
    /// The type of the answer that came instead of an event stream.
    package let type: String?
    /// Whether an event stream came.
    package let isStream: Bool

    package init(type: String?, isStream: Bool) {
        self.type = type
        self.isStream = isStream
    }

    /// From the answer to `Accept: text/event-stream`.
    package init(_ head: AnswerHead) {
        let type = head["content-type"]
        self.init(type: type, isStream: type?.lowercased().hasPrefix("text/event-stream") ?? false)
    }

    /// Nil if there is nothing to report.
    package func finding(behind servers: ServerChain) -> Finding? {
        guard !isStream else { return nil }
        return Finding(
            .streams,
            .problem,
            "A stream requested by Accept is answered as \(type ?? "something without a type"): Accept is lost on the way, "
                + "and browsers ask for streams by it.",
            Remedy.dropsAccept.advice(for: servers)
                + ["or ask for a stream in the URL: ?stream=sse"]
        )
    }
}
