/// The servers between client and Holdfast, as far as they are known.
package struct ServerChain: Equatable, Sendable {
    /// The server that speaks FastCGI.
    package var server: ServerKind
    /// A proxy in front of it; unknown if it does not give its name, nil if there is no sign of one.
    package var proxy: ServerKind?
    /// Whether requests show that a proxy passed them on; nil if no responder reported it.
    package var isForwarded: Bool?

    package init(_ server: ServerKind, proxy: ServerKind? = nil, isForwarded: Bool? = nil) {
        self.server = server
        self.proxy = proxy
        self.isForwarded = isForwarded
    }

    /// What the responder reports about a front end.
    package struct FrontEndReport: Equatable, Sendable {
        package var software: String
        package var isForwarded: Bool
        package var isProbed: Bool
        /// How many requests came through it.
        package var holds: Int
        /// The time within which a departure is found, if it is probed.
        package var foundWithinMilliseconds: Int?

        package init(
            software: String,
            isForwarded: Bool,
            isProbed: Bool,
            holds: Int,
            foundWithinMilliseconds: Int? = nil
        ) {
            self.software = software
            self.isForwarded = isForwarded
            self.isProbed = isProbed
            self.holds = holds
            self.foundWithinMilliseconds = foundWithinMilliseconds
        }
    }

    /// Derives the chain from an answer of the site and the responder's report on the one front end that it came
    /// through.
    ///
    /// A proxy reveals itself by `Via` in the answer, by another `Server` than SERVER_SOFTWARE, or by what it adds to
    /// requests.
    package init(_ head: AnswerHead, _ seen: FrontEndReport?) {
        let answering = ServerKind(software: head["server"])
        let via = head.all("via")
        guard let seen else {
            self.init(answering, proxy: via.isEmpty ? nil : ServerKind(via: via))
            return
        }
        let server = ServerKind(software: seen.software)
        // A name that belongs to no known server may have been chosen to reveal nothing.
        let isAnother = answering != .unknown && server != .unknown && answering != server
        var proxy: ServerKind?
        if !via.isEmpty {
            proxy = ServerKind(via: via)
        } else if isAnother {
            proxy = answering
        } else if seen.isForwarded {
            proxy = .unknown
        }
        self.init(server, proxy: proxy, isForwarded: seen.isForwarded)
    }

    /// The report of the front end that a request came through: the one whose count grew, else the one with the name in
    /// the answer.
    package static func reportOfRequest(
        _ before: [FrontEndReport],
        _ after: [FrontEndReport],
        _ head: AnswerHead
    ) -> FrontEndReport? {
        func isSame(_ one: FrontEndReport, _ other: FrontEndReport) -> Bool {
            one.software == other.software && one.isForwarded == other.isForwarded
        }
        if after.count == 1 { return after[0] }
        let counted = after.filter { one in
            one.holds > (before.first { isSame($0, one) }?.holds ?? 0)
        }
        if counted.count == 1 { return counted[0] }
        let answering = ServerKind(software: head["server"])
        let named = (counted.isEmpty ? after : counted).filter {
            ServerKind(software: $0.software) == answering
        }
        return named.count == 1 ? named[0] : nil
    }

    package var name: String {
        switch proxy {
        case nil: server.name
        case .unknown?: "\(server.name), with a proxy in front of it that does not give its name"
        case let proxy?: "\(server.name), with \(proxy.name) in front of it"
        }
    }
}
