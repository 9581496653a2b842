internal import ArgumentParser
internal import BusClient
internal import Channels
internal import Configuration
internal import Diagnosis
internal import FoundationEssentials
internal import Glibc
internal import Reactor
internal import Text

/// `holdfast doctor`: asks a site, as its clients would, what web servers and proxies on the way do to Holdfast.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Examines a site by its public URL: buffering, time-outs, departures, compression and more.",
        discussion: """
            Opens and leaves some requests, compares with what the responder sees, and prints what was found, with the \
            lines to change. The responder is asked by the bus socket, else by the URL's -/status with the credentials \
            given. Exit code: 0 no problem, 1 problems, 64 wrong usage, 69 the site cannot be reached.
            """
    )

    @Argument(help: "Where Holdfast is mounted, as in https://example.org/push/.")
    var url: String

    @Option(
        help: ArgumentHelp(
            "A channel that may be read there; one whose last segment begins with doctor- is also published to, and its "
                + "messages are deleted (default: one of its own that is open).",
            valueName: "name"
        )
    )
    var channel: String?

    @Option(help: "Seconds that any one thing is waited for.")
    var patience = 30

    @Option(help: "An origin whose pages should be able to read, as in https://www.example.org.")
    var origin: String?

    @Option(
        help: ArgumentHelp(
            "A header field for requests that may have credentials, as in 'Authorization: …'.",
            valueName: "field"
        )
    )
    var header: [String] = []

    @Option(
        name: .shortAndLong,
        help: "The ini file of the responder (default: $HOLDFAST_INI, else /etc/holdfast.ini)."
    )
    var config: String?

    @Option(help: "The bus socket, instead of what the ini file says.", completion: .file())
    var socket: String?

    @Flag(help: "As JSON.")
    var json = false

    func validate() throws {
        guard let parts = URLComponents(string: url), parts.host?.isEmpty == false,
            ["http", "https"].contains(parts.scheme?.lowercased())
        else { throw ValidationError("The URL begins with http:// or https:// and a host.") }
        guard parts.query == nil, parts.fragment == nil else {
            throw ValidationError("The URL has no '?' and no '#': it is where Holdfast is mounted.")
        }
        guard (1...3600).contains(patience) else {
            throw ValidationError("--patience is 1 to 3600 seconds.")
        }
        if let channel { _ = try channelArgument(channel) }
        for field in header where !field.contains(":") || field.contains(where: \.isNewline) {
            throw ValidationError("--header is a line such as 'Authorization: Basic …'.")
        }
    }

    func run() throws {
        var findings: [Finding] = []
        do {
            try examine { finding in
                findings.append(finding)
                if !json { StandardOutput.writeLine(finding.lines.joined(separator: "\n")) }
            }
        } catch let code as ExitCode {
            throw code
        } catch {
            // The site, curl, or the responder in the middle of it; 1 would say that problems were found.
            StandardError.write("holdfast: \(error)")
            throw ExitCode(EX_UNAVAILABLE)
        }
        if json { StandardOutput.writeLine(try document(findings)) }
        if findings.exitCode != 0 { throw ExitCode(findings.exitCode) }
    }

    private func examine(_ report: (Finding) -> Void) throws {
        var site = Site(
            base: url.hasSuffix("/") ? url : url + "/",
            headers: header,
            patienceSeconds: patience
        )
        var visit = try ready(site)
        if visit.answer.head == nil, !site.isSecure {
            site.version = .http2PriorKnowledge
            let other = try ready(site)
            if other.answer.head != nil { visit = other }
        }
        guard let head = visit.answer.head else {
            throw Unreachable(description: "\(url) cannot be reached: \(visit.complaint)")
        }
        let settings = try settings()
        let door = door(settings)
        let service = service(visit.answer, site, settings, door)
        guard service.isReady else { return report(service.finding(behind: Way(head, nil))) }
        var examination = try Examination(
            site: site,
            witness: try Witness(door, site),
            settings: settings,
            channel: channel,
            origin: origin,
            ready: head
        )
        try examination.run(service, report)
    }

    private func service(
        _ answer: AnswerBytes,
        _ site: Site,
        _ settings: Settings?,
        _ door: BusDoor?
    ) -> ServiceObservation {
        let problem = JSONValue(answer.body)
        let isThere = door.map { (try? BusQuestions($0).ask("ping")) != nil } ?? false
        return ServiceObservation(
            status: answer.head?.status ?? 0,
            location: answer.head?["location"],
            author: ServiceObservation.author(
                isReady: answer.body.starts(with: "ready\n".utf8),
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

    private func ready(_ site: Site) throws -> Visit {
        let visit = try site.visit("-/ready")
        Visit.follow([visit], until: site.deadline) { visit.hasEnded }
        return visit
    }

    // MARK: The responder

    /// Only a file that was named must be there.
    private func settings() throws -> Settings? {
        if let config { return try IniFileReader.read(config, orExit: EX_CONFIG) }
        if socket != nil { return nil }
        return try? IniFileReader.read(IniFileReader.usualPath).get()
    }

    /// Never a responder inside this process, which would know nothing of the site.
    private func door(_ settings: Settings?) -> BusDoor? {
        guard let path = socket ?? settings?.bus.socket else { return nil }
        return BusDoor(path: path, settings: nil)
    }

    // MARK: Output

    private func document(_ findings: [Finding]) throws -> [UInt8] {
        struct Document: Encodable {
            struct Part: Encodable { var subject, verdict, sentence: String, advice: [String] }
            var url: String
            var findings: [Part]
        }
        let document = Document(
            url: url,
            findings: findings.map {
                .init(
                    subject: $0.subject.rawValue,
                    verdict: $0.verdict.rawValue,
                    sentence: $0.sentence,
                    advice: $0.advice
                )
            }
        )
        let encoder = FoundationEssentials.JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        return Array(try encoder.encode(document))
    }
}

private struct Unreachable: Error, CustomStringConvertible {
    let description: String
}

extension FastCGISettings.Listen {
    fileprivate var name: String {
        switch self {
        case .unix(let path): path
        case .tcp(let address, let port): "\(address), port \(port)"
        case .inherited: "the socket that it has inherited"
        }
    }
}
