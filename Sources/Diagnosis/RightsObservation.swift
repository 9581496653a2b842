/// What a client gets without credentials, and what it gets by sending HOLDFAST_… itself.
package struct RightsObservation: Sendable {
    package struct Trial: Equatable, Sendable {
        /// The kind of an answer; nil if none came.
        package enum Answer: Equatable, Sendable {
            /// What was asked for, answered by Holdfast.
            case open
            /// Anything else; a 200 may be a login page.
            case status(Int)
        }

        /// The target, such as `-/status`.
        package let name: String
        /// Asked without, and with, HOLDFAST_… in header fields and query.
        package let plain: Answer?
        package let forged: Answer?

        package init(name: String, plain: Answer?, forged: Answer?) {
            self.name = name
            self.plain = plain
            self.forged = forged
        }
    }

    /// The operator's pages.
    package let pages: [Trial]
    /// A channel that is closed to everyone, if there is one.
    package let closed: Trial?

    package init(pages: [Trial], closed: Trial?) {
        self.pages = pages
        self.closed = closed
    }

    package func findings(behind servers: ServerChain) -> [Finding] {
        [operators(servers), parameters(servers)]
    }

    private func operators(_ servers: ServerChain) -> Finding {
        let open = pages.filter { $0.plain == .open }.map(\.name)
        if !open.isEmpty {
            return Finding(
                .operators,
                .problem,
                "\(open.joined(separator: ", ")): open to anyone who asks from here.",
                Remedy.openToAll.advice(for: servers)
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
                "Another page answers in their place, such as a login page: they are closed to clients without credentials."
            )
        }
        guard others.isEmpty else {
            return Finding(.operators, .unknown, "They are not answered as Holdfast would.")
        }
        return Finding(.operators, .ok, "They are closed to clients without credentials.")
    }

    private func parameters(_ servers: ServerChain) -> Finding {
        let trials = (pages + [closed].compactMap(\.self)).filter { $0.plain != .open }
        if let forged = trials.first(where: { $0.forged == .open }) {
            return Finding(
                .parameters,
                .problem,
                "A client opens \(forged.name) by sending HOLDFAST_… itself.",
                Remedy.believesClients.advice(for: servers)
            )
        }
        guard trials.contains(where: { $0.forged != nil }) else {
            return Finding(
                .parameters,
                .unknown,
                "Nothing that was asked for is closed, so there was nothing to open by HOLDFAST_…."
            )
        }
        return Finding(.parameters, .ok, "HOLDFAST_… sent by a client has no effect.")
    }
}
