/// Whether Holdfast answers below this URL, and which servers pass its answers on.
package struct ServiceObservation: Sendable {
    /// The status of the answer to `-/ready`.
    package let status: Int
    package let location: String?
    /// Which program made the answer.
    package let author: Author
    /// The path of the URL, after the host.
    package let path: String
    /// The responder on this machine, if its bus answers.
    package let responder: Responder?

    package enum Author: Equatable, Sendable {
        /// Holdfast, with the code if the answer is a problem.
        case holdfast(code: String?)
        /// Holdfast, which is not ready, and says why.
        case notReady(why: String)
        /// Holdfast, which took the path for a channel.
        case channel
        /// The web server itself: the shipped configurations let it answer while Holdfast is away.
        case other
    }

    /// A responder on this machine.
    package struct Responder: Equatable, Sendable {
        /// From [fastcgi] of its ini file, if that could be read.
        package var listen: String?
        package var base: String?

        package init(listen: String? = nil, base: String? = nil) {
            self.listen = listen
            self.base = base
        }
    }

    package init(
        status: Int,
        location: String? = nil,
        author: Author,
        path: String = "/push/",
        responder: Responder? = nil
    ) {
        self.status = status
        self.location = location
        self.author = author
        self.path = path
        self.responder = responder
    }

    /// Decides by a problem's `code`; an answer with a cursor is a channel's.
    package static func author(
        isReady: Bool,
        whyNotReady: String? = nil,
        type: String?,
        code: String?,
        hasCursor: Bool = false
    ) -> Author {
        if isReady { return .holdfast(code: nil) }
        if let whyNotReady { return .notReady(why: whyNotReady) }
        if hasCursor { return .channel }
        guard type == "application/problem+json", let code, code != "away" else { return .other }
        return .holdfast(code: code)
    }

    package var isReady: Bool { status == 200 && author == .holdfast(code: nil) }

    package func finding(behind servers: ServerChain) -> Finding {
        if isReady {
            return Finding(.service, .ok, "Holdfast answers and is ready, behind \(servers.name).")
        }
        if let location, (300..<400).contains(status) {
            return problem("The site redirects clients to \(location): examine that address.")
        }
        switch (author, status) {
        case (.holdfast, 404):
            let base = responder?.base.map { " That is \($0) here." } ?? ""
            return problem(
                "Holdfast gets the request, but serves nothing below \(path): it is mounted elsewhere, at base of "
                    + "holdfast.ini.\(base)",
                [
                    "base = \(path)   (in [fastcgi] of holdfast.ini)",
                    "or HOLDFAST_BASE \(path) as a parameter from the web server, or the location changed to base",
                ]
            )
        case (.channel, _), (.holdfast, 400..<500):
            let base = responder?.base.map { " It is mounted at \($0) here." } ?? ""
            return problem(
                "Holdfast gets the request, but takes \(path)-/ready for a channel (\(status)): the URL goes too deep, or "
                    + "Holdfast is mounted elsewhere.\(base)",
                ["examine the URL that ends with \(responder?.base ?? "base of holdfast.ini")"]
            )
        case (.notReady(let why), _):
            return problem(
                "Holdfast is not ready: \(why).",
                ["journalctl -u holdfast   (its log says more)"]
            )
        case (.holdfast, _):
            return problem(
                "Holdfast answers \(status): it is not ready, and its log says why.",
                ["journalctl -u holdfast"]
            )
        case (.other, 401), (.other, 403):
            return problem(
                "\(servers.server.name) refuses the request (\(status)) before Holdfast sees it; give credentials with --header."
            )
        case (.other, 500...599): return unreached(servers)
        case (.other, _):
            let mount =
                responder.map { " It runs here, mounted at \($0.base ?? "base of holdfast.ini")." }
                ?? ""
            return problem(
                "No Holdfast answers below this URL (-/ready: \(status)); is it mounted elsewhere?\(mount)",
                [
                    "base = …   (in [fastcgi] of holdfast.ini, the path that the web server passes on)"
                ]
            )
        }
    }

    /// The web server's own error, because it does not reach Holdfast.
    private func unreached(_ servers: ServerChain) -> Finding {
        let listen = responder?.listen ?? "[fastcgi] listen of holdfast.ini"
        guard responder != nil else {
            return problem(
                "\(servers.server.name) runs, but answers \(status): it does not reach Holdfast.",
                [
                    "systemctl status holdfast",
                    "its user must be able to write to the socket, \(listen); its error log gives the reason",
                ]
            )
        }
        return problem(
            "\(servers.server.name) answers \(status) although Holdfast runs and its bus answers: \(servers.server.name) does not reach "
                + "its socket, \(listen).",
            [
                "the same path in the web server's configuration as \(listen)",
                "group = www-data   (in [fastcgi] of holdfast.ini, the group of the web server's user)",
                "the error log of \(servers.server.name) says which of these applies",
            ]
        )
    }

    private func problem(_ sentence: String, _ advice: [String] = []) -> Finding {
        Finding(.service, .problem, sentence, advice)
    }
}
