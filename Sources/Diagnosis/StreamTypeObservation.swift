/// Whether `Accept` reaches Holdfast: by it a browser's EventSource asks for a stream.
package struct StreamTypeObservation: Sendable {
    /// The type of what came instead of an event stream.
    package let type: String?
    /// An event stream came.
    package let isStream: Bool

    package init(type: String?, isStream: Bool) {
        self.type = type
        self.isStream = isStream
    }

    /// Of an answer to `Accept: text/event-stream`.
    package init(_ head: AnswerHead) {
        let type = head["content-type"]
        self.init(type: type, isStream: type?.lowercased().hasPrefix("text/event-stream") ?? false)
    }

    /// Nil where there is nothing to say.
    package func finding(behind way: Way) -> Finding? {
        guard !isStream else { return nil }
        return Finding(
            .streams,
            .problem,
            "A stream that is asked for by Accept is answered as \(type ?? "something without a type"): Accept is lost on the way, "
                + "and by it browsers ask for one.",
            Remedy.dropsAccept.advice(for: way)
                + ["or ask for it in the URL: ?stream=sse"]
        )
    }
}
