internal import ArgumentParser
internal import BusClient
internal import Channels
internal import Configuration
internal import Diagnosis
internal import Glibc
internal import Text

/// `holdfast doctor`: asks a site what its clients would ask, and reports what web servers and proxies on the way do to
/// Holdfast.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Examines a site by its public URL: buffering, timeouts, departures, compression and more.",
        discussion: """
            Opens and leaves some requests, compares them with what the responder sees, and prints the results, with the \
            lines to change. The responder is asked on the bus socket, or else at the URL's -/status with the credentials \
            given. Exit code: 0 no problem, 1 problems, 64 wrong usage, 69 the site cannot be reached.
            """
    )

    @Argument(help: "The URL where Holdfast is mounted, such as https://example.org/push/.")
    var url: String

    @Option(
        help: ArgumentHelp(
            "A readable channel; one whose last segment begins with doctor- is also published to, and its messages are deleted "
                + "(default: an open channel of doctor's own).",
            valueName: "name"
        )
    )
    var channel: String?

    @Option(
        help: ArgumentHelp("The number of seconds to wait for any one thing.", valueName: "seconds")
    )
    var patience = 30

    @Option(help: "An origin whose pages should be able to read, such as https://www.example.org.")
    var origin: String?

    @Option(
        help: ArgumentHelp(
            "A header field for requests that may carry credentials, such as 'Authorization: …'.",
            valueName: "field"
        )
    )
    var header: [String] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The ini file of the responder (default: \(IniFileReader.usualPlaces)).",
            valueName: "file"
        )
    )
    var config: String?

    @Option(
        help: ArgumentHelp(
            "The bus socket, instead of the one in the ini file.",
            valueName: "path"
        ),
        completion: .file()
    )
    var socket: String?

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard Site.isURL(url) else {
            throw ValidationError("The URL must begin with http:// or https:// and a host.")
        }
        guard !url.contains(where: { "?#".contains($0) }) else {
            throw ValidationError(
                "The URL must have no '?' and no '#': it is where Holdfast is mounted."
            )
        }
        guard (1...3600).contains(patience) else {
            throw ValidationError("--patience must be 1 to 3600 seconds.")
        }
        if let channel { _ = try channelArgument(channel) }
        for field in header where !field.contains(":") || field.contains(where: \.isNewline) {
            throw ValidationError("--header must be a line such as 'Authorization: Basic …'.")
        }
    }

    func run() throws {
        // A mistake in what was named is reported at once, not after the time for a site that does not answer.
        let settings = try settings()
        let (site, ready) = try orUnavailable(reach)
        var findings: [Finding] = []
        try orUnavailable { () throws(DoctorError) in
            try examine(site, ready, settings) { finding in
                findings.append(finding)
                if !json { StandardOutput.writeLine(finding.lines.joined(separator: "\n")) }
            }
        }
        if json { StandardOutput.writeLine(document(findings)) }
        if findings.exitCode != 0 { throw ExitCode(findings.exitCode) }
    }

    /// Ends the command if the site, curl or the responder fails; 1 would mean that problems were found.
    private func orUnavailable<T>(_ body: () throws(DoctorError) -> T) throws(ExitCode) -> T {
        do throws(DoctorError) {
            return try body()
        } catch {
            StandardError.write("holdfast: \(error)")
            throw ExitCode(EX_UNAVAILABLE)
        }
    }

    /// The site, in the version of HTTP that it understands, and its answer to `-/ready`.
    private func reach() throws(DoctorError) -> (Site, AnswerBytes) {
        var site = Site(
            base: url.hasSuffix("/") ? url : url + "/",
            headers: header,
            patienceSeconds: patience
        )
        var transfer = try ready(site)
        if transfer.answer.head == nil, !site.isSecure {
            site.version = .http2PriorKnowledge
            let other = try ready(site)
            if other.answer.head != nil { transfer = other }
        }
        guard transfer.answer.head != nil else {
            throw DoctorError("\(url) cannot be reached: \(transfer.complaint)")
        }
        return (site, transfer.answer)
    }

    private func examine(
        _ site: Site,
        _ ready: AnswerBytes,
        _ settings: Settings?,
        _ report: (Finding) -> Void
    ) throws(DoctorError) {
        guard let head = ready.head else { return }
        let connector = connector(settings)
        let service = service(ready, site, settings, connector)
        guard service.isReady else {
            report(service.finding(behind: ServerChain(head, nil)))
            // A site's machine that is not ready may lag, which its status tells in figures.
            let responder = try ResponderClient(connector, site)
            if let machines = try responder.figures()?.machines { report(machines.finding) }
            return
        }
        var examination = try Examination(
            site: site,
            responder: try ResponderClient(connector, site),
            settings: settings,
            channelName: channel,
            origin: origin,
            ready: head
        )
        try examination.run(service, report)
    }

    private func service(
        _ answer: AnswerBytes,
        _ site: Site,
        _ settings: Settings?,
        _ connector: BusConnector?
    ) -> ServiceObservation {
        let problem = JSONValue(answer.body)
        let text = String(decoding: answer.body, as: UTF8.self)
        let isThere = connector.map { (try? BusSession($0).ask("ping")) != nil } ?? false
        return ServiceObservation(
            status: answer.head?.status ?? 0,
            location: answer.head?["location"],
            author: ServiceObservation.author(
                isReady: text.hasPrefix("ready\n"),
                whyNotReady: Self.reason(text),
                type: answer.head?["content-type"],
                code: problem?["code"]?.string,
                hasCursor: problem?["cursor"]?.string != nil
            ),
            path: String(site.path),
            responder: isThere
                ? ServiceObservation.Responder(
                    listen: settings.map(\.fastcgi.listen.name),
                    base: settings?.fastcgi.base
                ) : nil
        )
    }

    /// What follows "not ready: ".
    private static func reason(_ text: String) -> String? {
        let sign = "not ready: "
        guard text.hasPrefix(sign) else { return nil }
        return String(text.dropFirst(sign.count).prefix { !$0.isNewline })
    }

    private func ready(_ site: Site) throws(DoctorError) -> CurlTransfer {
        let transfer = try site.transfer("-/ready")
        CurlTransfer.follow([transfer], until: site.deadline) { transfer.hasEnded }
        return transfer
    }

    // MARK: The responder

    /// The settings; an ini file that was named must exist, the default one need not.
    private func settings() throws(ExitCode) -> Settings? {
        if let config { return try IniFileReader.read(config, orExit: EX_CONFIG) }
        if socket != nil { return nil }
        return try? IniFileReader.read(IniFileReader.usualPath).get()
    }

    /// The bus; never a responder inside this process, which would know nothing of the site.
    private func connector(_ settings: Settings?) -> BusConnector? {
        guard let path = socket ?? settings?.bus.socket else { return nil }
        return BusConnector(path: path, settings: nil)
    }

    // MARK: Output

    private func document(_ findings: [Finding]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.openObject()
        bytes.append(member: "url", text: url)
        bytes.append(member: "findings")
        bytes.openArray()
        for finding in findings {
            bytes.beginElement()
            bytes.openObject()
            bytes.append(member: "subject", text: finding.subject.rawValue)
            bytes.append(member: "verdict", text: finding.verdict.rawValue)
            bytes.append(member: "sentence", text: finding.sentence)
            bytes.append(member: "advice")
            bytes.openArray()
            for line in finding.advice {
                bytes.beginElement()
                bytes.append(jsonString: line)
            }
            bytes.closeArray()
            bytes.closeObject()
        }
        bytes.closeArray()
        bytes.closeObject()
        return bytes
    }
}

extension FastCGISettings.Listen {
    fileprivate var name: String {
        switch self {
        case .unix(let path): path
        case .tcp(let address, let port): "\(address), port \(port)"
        case .inherited: "its inherited socket"
        }
    }
}
