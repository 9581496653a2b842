/// The servers between client and Holdfast, as far as they show.
package struct Way: Equatable, Sendable {
    /// The one that speaks FastCGI.
    package var server: FrontEnd
    /// A proxy before it; unknown where it does not say its name, nil where nothing shows that there is one.
    package var proxy: FrontEnd?
    /// Whether requests show that a proxy passed them on; nil where nobody has said it.
    package var isForwarded: Bool?

    package init(_ server: FrontEnd, proxy: FrontEnd? = nil, isForwarded: Bool? = nil) {
        self.server = server
        self.proxy = proxy
        self.isForwarded = isForwarded
    }

    /// What the responder says of a front end.
    package struct Seen: Equatable, Sendable {
        package var software: String
        package var isForwarded: Bool
        package var isProbed: Bool
        /// How many requests came by it.
        package var holds: Int
        /// A departure shows within this time, where it is probed.
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

    /// From an answer of the site and what the responder says of the one front end it came by.
    ///
    /// A proxy shows by `Via` in the answer; by another `Server` than SERVER_SOFTWARE; or by what it adds to requests.
    package init(_ head: AnswerHead, _ seen: Seen?) {
        let answering = FrontEnd(software: head["server"])
        let via = head.all("via")
        guard let seen else {
            self.init(answering, proxy: via.isEmpty ? nil : FrontEnd(via: via))
            return
        }
        let server = FrontEnd(software: seen.software)
        // A name that is none of a server known here may be one that was chosen to say nothing.
        let isAnother = answering != .unknown && server != .unknown && answering != server
        var proxy: FrontEnd?
        if !via.isEmpty {
            proxy = FrontEnd(via: via)
        } else if isAnother {
            proxy = answering
        } else if seen.isForwarded {
            proxy = .unknown
        }
        self.init(server, proxy: proxy, isForwarded: seen.isForwarded)
    }

    /// Of several front ends the one that a request came by: what it has counted since, else the one of that name.
    package static func passed(_ before: [Seen], _ after: [Seen], _ head: AnswerHead) -> Seen? {
        func isSame(_ one: Seen, _ other: Seen) -> Bool {
            one.software == other.software && one.isForwarded == other.isForwarded
        }
        if after.count == 1 { return after[0] }
        let counted = after.filter { one in
            one.holds > (before.first { isSame($0, one) }?.holds ?? 0)
        }
        if counted.count == 1 { return counted[0] }
        let answering = FrontEnd(software: head["server"])
        let named = (counted.isEmpty ? after : counted).filter {
            FrontEnd(software: $0.software) == answering
        }
        return named.count == 1 ? named[0] : nil
    }

    package var name: String {
        switch proxy {
        case nil: server.name
        case .unknown?: "\(server.name), with a proxy before it that does not say its name"
        case let proxy?: "\(server.name), with \(proxy.name) before it"
        }
    }
}
