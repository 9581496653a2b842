/// What a client without credentials gets, and what it gets by pretending.
package struct RightsObservation: Sendable {
    package struct Trial: Equatable, Sendable {
        /// What was asked, as in `-/status`.
        package let name: String
        /// The answer as it should be, and with HOLDFAST_… among header fields and query; nil where none came.
        package let plain: Int?
        package let forged: Int?

        package init(name: String, plain: Int?, forged: Int?) {
            self.name = name
            self.plain = plain
            self.forged = forged
        }
    }

    /// Of the operator's pages.
    package let pages: [Trial]
    /// A channel that is closed to everyone, where there is one.
    package let closed: Trial?

    package init(pages: [Trial], closed: Trial?) {
        self.pages = pages
        self.closed = closed
    }

    package func findings(behind server: FrontEnd) -> [Finding] {
        [operators(server), parameters(server)]
    }

    private func operators(_ server: FrontEnd) -> Finding {
        let open = pages.filter { $0.plain == 200 }.map(\.name)
        if !open.isEmpty {
            return Finding(
                .operators,
                .problem,
                "\(open.joined(separator: ", ")): open to anyone who asks from here.",
                Remedy.openToAll.advice(for: server)
            )
        }
        guard pages.allSatisfy({ $0.plain.map { (400..<500).contains($0) } ?? false }) else {
            return Finding(.operators, .unknown, "They are not answered as Holdfast would.")
        }
        return Finding(.operators, .ok, "They are closed to clients without credentials.")
    }

    private func parameters(_ server: FrontEnd) -> Finding {
        let trials = (pages + [closed].compactMap(\.self)).filter { $0.plain != 200 }
        if let forged = trials.first(where: { $0.forged == 200 }) {
            return Finding(
                .parameters,
                .problem,
                "A client opens \(forged.name) by sending HOLDFAST_… itself.",
                Remedy.believesClients.advice(for: server)
            )
        }
        guard trials.contains(where: { $0.forged != nil }) else {
            return Finding(
                .parameters,
                .unknown,
                "Nothing is closed here, so that nothing could be opened by HOLDFAST_… of a client."
            )
        }
        return Finding(.parameters, .ok, "HOLDFAST_… that a client sends changes nothing.")
    }
}
