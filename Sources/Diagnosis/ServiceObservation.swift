/// Whether Holdfast answers below this URL, and who passes its answers on.
package struct ServiceObservation: Sendable {
    /// The answer to `-/ready`.
    package let status: Int
    package let location: String?
    package let isHoldfast: Bool

    package init(status: Int, location: String?, isHoldfast: Bool) {
        self.status = status
        self.location = location
        self.isHoldfast = isHoldfast
    }

    package func finding(behind server: FrontEnd) -> Finding {
        if status == 200, isHoldfast {
            return Finding(.service, .ok, "Holdfast answers and is ready, behind \(server.name).")
        }
        if let location, (300..<400).contains(status) {
            return Finding(
                .service,
                .problem,
                "The site sends clients on to \(location): ask about that address."
            )
        }
        if isHoldfast {
            return Finding(
                .service,
                .problem,
                "Holdfast answers \(status): it is not ready, and its log says why.",
                ["journalctl -u holdfast"]
            )
        }
        switch status {
        case 401, 403:
            return Finding(
                .service,
                .problem,
                "\(server.name) refuses the request (\(status)) before Holdfast sees it; give credentials with --header."
            )
        case 500...599:
            return Finding(
                .service,
                .problem,
                "\(server.name) is there, but answers \(status): it does not reach Holdfast.",
                [
                    "systemctl status holdfast; and its user must be able to write to [fastcgi] listen of holdfast.ini"
                ]
            )
        default:
            return Finding(
                .service,
                .problem,
                "No Holdfast answers below this URL (-/ready: \(status)); is it mounted elsewhere?",
                [
                    "base = …   (in [fastcgi] of holdfast.ini, the path that the web server passes on)"
                ]
            )
        }
    }
}
