/// Whether Holdfast answers below this URL, and who passes its answers on.
package struct ServiceObservation: Sendable {
    /// The answer to `-/ready`.
    package let status: Int
    package let location: String?
    /// Who made the answer.
    package let author: Author
    /// Of the URL, from the host on.
    package let path: String
    /// What is known of the responder on this machine.
    package let responder: Responder?

    package enum Author: Equatable, Sendable {
        /// Holdfast, with the code of its problem where it is one.
        case holdfast(code: String?)
        /// Holdfast, with what it has of a channel.
        case channel
        /// The web server in its place: the configurations that are shipped do so while Holdfast is away.
        case other
    }

    /// A responder whose bus answers here.
    package struct Responder: Equatable, Sendable {
        /// [fastcgi] of its ini file, where that could be read.
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

    /// Of what a problem's `code` says; an answer with a cursor is a channel's.
    package static func author(
        isReady: Bool,
        type: String?,
        code: String?,
        hasCursor: Bool = false
    ) -> Author {
        if isReady { return .holdfast(code: nil) }
        if hasCursor { return .channel }
        guard type == "application/problem+json", let code, code != "away" else { return .other }
        return .holdfast(code: code)
    }

    package var isReady: Bool { status == 200 && author == .holdfast(code: nil) }

    package func finding(behind way: Way) -> Finding {
        if isReady {
            return Finding(.service, .ok, "Holdfast answers and is ready, behind \(way.name).")
        }
        if let location, (300..<400).contains(status) {
            return problem("The site sends clients on to \(location): ask about that address.")
        }
        switch (author, status) {
        case (.holdfast, 404):
            let base = responder?.base.map { " That is \($0) there." } ?? ""
            return problem(
                "Holdfast gets the request, and serves nothing below \(path): it is mounted elsewhere, as base of "
                    + "holdfast.ini says.\(base)",
                [
                    "base = \(path)   (in [fastcgi] of holdfast.ini)",
                    "or the parameter HOLDFAST_BASE \(path) by the web server, or its location as base is",
                ]
            )
        case (.channel, _), (.holdfast, 400..<500):
            let base = responder?.base.map { " It is mounted at \($0) there." } ?? ""
            return problem(
                "Holdfast gets the request, but takes \(path)-/ready for a channel (\(status)): the URL goes too deep, or "
                    + "Holdfast is mounted elsewhere.\(base)",
                ["ask about the URL that ends with \(responder?.base ?? "base of holdfast.ini")"]
            )
        case (.holdfast, _):
            return problem(
                "Holdfast answers \(status): it is not ready, and its log says why.",
                ["journalctl -u holdfast"]
            )
        case (.other, 401), (.other, 403):
            return problem(
                "\(way.server.name) refuses the request (\(status)) before Holdfast sees it; give credentials with --header."
            )
        case (.other, 500...599): return unreached(way)
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

    /// The web server's own error.
    private func unreached(_ way: Way) -> Finding {
        let listen = responder?.listen ?? "[fastcgi] listen of holdfast.ini"
        guard responder != nil else {
            return problem(
                "\(way.server.name) is there, but answers \(status): it does not reach Holdfast.",
                [
                    "systemctl status holdfast",
                    "its user must be able to write to the socket, \(listen); its error log says why it cannot",
                ]
            )
        }
        return problem(
            "\(way.server.name) answers \(status) although Holdfast runs: its bus answers. \(way.server.name) does not reach "
                + "its socket, \(listen).",
            [
                "the same path in the web server's configuration as \(listen)",
                "group = www-data   (in [fastcgi] of holdfast.ini, the group of the web server's user)",
                "the error log of \(way.server.name) says which of these it is",
            ]
        )
    }

    private func problem(_ sentence: String, _ advice: [String] = []) -> Finding {
        Finding(.service, .problem, sentence, advice)
    }
}
