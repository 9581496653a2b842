internal import Text

/// What a page of another origin may do.
package struct CrossOriginObservation: Sendable {
    package let origin: String
    /// The answer to a read with that origin.
    package let answer: AnswerHead?
    /// The answer to a browser's preflight of a publish, sent without credentials as browsers do.
    package let preflight: AnswerHead?

    package init(origin: String, answer: AnswerHead?, preflight: AnswerHead?) {
        self.origin = origin
        self.answer = answer
        self.preflight = preflight
    }

    package func finding(behind servers: ServerChain) -> Finding {
        guard let answer, let preflight else {
            return Finding(.crossOrigin, .unknown, "No answer to a request with an Origin.")
        }
        let allowed = answer.all("access-control-allow-origin")
        if allowed.count > 1 || preflight.all("access-control-allow-origin").count > 1 {
            return problem(
                "Access-Control-Allow-Origin comes more than once, which browsers refuse",
                Remedy.ownCrossOriginFields.advice(for: servers)
            )
        }
        guard let value = allowed.first else {
            return problem(
                "pages of \(origin) may not read answers",
                ["origins = \(origin)   (in [cors] of holdfast.ini)"]
            )
        }
        guard value == origin || value == "*" else {
            return problem(
                "pages of \(origin) may not read answers, which are for \(value)",
                Remedy.ownCrossOriginFields.advice(for: servers)
            )
        }
        guard (200..<300).contains(preflight.status) else {
            return problem(
                "the preflight of a publish is answered \(preflight.status)",
                Remedy.refusesPreflight.advice(for: servers)
            )
        }
        guard preflight["access-control-allow-methods"]?.includes("POST") == true,
            preflight["access-control-allow-headers"] != nil
        else {
            return problem(
                "the preflight of a publish is not answered by Holdfast",
                Remedy.ownCrossOriginFields.advice(for: servers)
            )
        }
        let credentials = value == "*" ? ", without credentials" : ""
        return Finding(
            .crossOrigin,
            .ok,
            "Pages of \(origin) may read and ask to publish\(credentials)."
        )
    }

    private func problem(_ sentence: String, _ advice: [String]) -> Finding {
        Finding(
            .crossOrigin,
            .problem,
            sentence.prefix(1).uppercased() + sentence.dropFirst() + ".",
            advice
        )
    }
}
