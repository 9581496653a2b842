/// What a client without credentials gets, and what it gets by pretending.
package struct RightsObservation: Sendable {
    package struct Trial: Equatable, Sendable {
        /// An answer; nil where none came.
        package enum Answer: Equatable, Sendable {
            /// What was asked for, by Holdfast.
            case open
            /// Anything else; 200 may be a page to log in.
            case status(Int)
        }

        /// What was asked, as in `-/status`.
        package let name: String
        /// As it should be, and with HOLDFAST_… among header fields and query.
        package let plain: Answer?
        package let forged: Answer?

        package init(name: String, plain: Answer?, forged: Answer?) {
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

    package func findings(behind way: Way) -> [Finding] {
        [operators(way), parameters(way)]
    }

    private func operators(_ way: Way) -> Finding {
        let open = pages.filter { $0.plain == .open }.map(\.name)
        if !open.isEmpty {
            return Finding(
                .operators,
                .problem,
                "\(open.joined(separator: ", ")): open to anyone who asks from here.",
                Remedy.openToAll.advice(for: way)
            )
        }
        let others = pages.compactMap { page -> Int? in
            guard case .status(let status)? = page.plain else { return 0 }
            return (400..<500).contains(status) ? nil : status
        }
        if others.contains(where: { (200..<400).contains($0) }) {
            return Finding(
                .operators,
                .ok,
                "Another page answers in their place, such as one to log in: they are closed to clients without credentials."
            )
        }
        guard others.isEmpty else {
            return Finding(.operators, .unknown, "They are not answered as Holdfast would.")
        }
        return Finding(.operators, .ok, "They are closed to clients without credentials.")
    }

    private func parameters(_ way: Way) -> Finding {
        let trials = (pages + [closed].compactMap(\.self)).filter { $0.plain != .open }
        if let forged = trials.first(where: { $0.forged == .open }) {
            return Finding(
                .parameters,
                .problem,
                "A client opens \(forged.name) by sending HOLDFAST_… itself.",
                Remedy.believesClients.advice(for: way)
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
