import Harness
import Testing

/// `holdfast doctor` at real sites, sound and broken.
@Suite(.enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"))
struct DoctorTests {
    /// What is open, and holds short enough to be waited for, and long enough that a busy machine releases departed
    /// clients before.
    static let quick = """
        [allow news/**]
        read = everyone
        publish = everyone
        [hold]
        max_wait = 3s

        """

    /// What is open, and holds that outlast every patience.
    static let long = """
        [allow news/**]
        read = everyone
        [hold]
        max_wait = 55s
        jitter = 0%

        """

    struct Outcome {
        let exit: ChildProcess.Exit
        let report: JSON
        let error: String

        /// All findings about a subject.
        func findings(_ subject: String) -> [JSON] {
            report["findings"].array.filter { $0["subject"].string == subject }
        }

        func verdicts(_ subject: String) -> [String] {
            findings(subject).map { $0["verdict"].string ?? "?" }
        }

        func advice(_ subject: String) -> String {
            findings(subject).flatMap { $0["advice"].array }.compactMap(\.string)
                .joined(separator: "\n")
        }

        var problems: [String] {
            report["findings"].array.filter { $0["verdict"] == "problem" }
                .map { "\($0["subject"].string ?? "?"): \($0["sentence"].string ?? "?")" }
        }
    }

    func run(
        _ holdfast: HoldfastServer,
        _ url: String,
        _ arguments: [String] = [],
        patience: Int = 10,
        knowsBus: Bool = true
    ) throws -> (exit: ChildProcess.Exit, output: [UInt8], error: String) {
        if knowsBus { _ = try holdfast.busClient() }
        return try ChildProcess.run(
            try Place.holdfast,
            ["doctor", url, "--patience", "\(patience)"] + arguments,
            directory: holdfast.directory,
            environment: [
                "HOLDFAST_INI": knowsBus ? holdfast.iniFile : "/nonexistent",
                "PATH": "/usr/bin:/bin",
            ]
        )
    }

    func examine(
        _ holdfast: HoldfastServer,
        port: UInt16,
        _ arguments: [String] = [],
        patience: Int = 10,
        knowsBus: Bool = true
    ) throws -> Outcome {
        let run = try run(
            holdfast,
            "http://127.0.0.1:\(port)/push/",
            arguments + ["--json"],
            patience: patience,
            knowsBus: knowsBus
        )
        return Outcome(exit: run.exit, report: try JSON(run.output), error: run.error)
    }

    // MARK: Sound

    @Test(arguments: [Front.nginx, .nginxHTTP2, .lighttpd])
    func `nothing is wrong behind the configurations that are shipped`(front: Front) throws {
        try front.with(Self.quick + "[cors]\norigins = https://a.example\n") { web, holdfast in
            let port = front.version == .http2 ? web.http2Port : web.port
            let outcome = try examine(holdfast, port: port, ["--origin", "https://a.example"])
            #expect(outcome.problems == [])
            #expect(outcome.exit == .exited(0), "\(outcome.error)")
            // Lighttpd has both versions on one port.
            let versions = front == .lighttpd ? 2 : 1
            #expect(outcome.verdicts("departures") == Array(repeating: "ok", count: versions))
            for subject in [
                "service", "HTTP versions", "operator pages", "parameters", "delivery", "buffering",
                "hold time", "compression", "URL length", "CORS",
            ] { #expect(outcome.verdicts(subject) == ["ok"], "\(subject)") }
            try holdfast.waitForHeld(0)
        }
    }

    @Test(
        .enabled(
            if: Tool.usable(.apache, .haproxy, .caddy, .curl),
            "apache2, haproxy or caddy is not installed"
        ),
        arguments: [WebServer.Kind.apache, .haproxy, .caddy]
    )
    func `nothing is wrong behind those that are probed, and HAProxy`(kind: WebServer.Kind) throws {
        let settings = Self.long + "probe_interval = 1s\nheartbeat = 1s\n"
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(kind, before: holdfast) { web in
                let outcome = try examine(holdfast, port: web.port, patience: 6)
                #expect(outcome.problems == [])
                #expect(outcome.exit == .exited(0), "\(outcome.error)")
                #expect(!outcome.verdicts("departures").isEmpty)
                #expect(outcome.verdicts("departures").allSatisfy { $0 == "ok" })
                #expect(outcome.verdicts("buffering") == ["ok"])
                let said = outcome.findings("service").first?["sentence"].string ?? ""
                #expect(said.lowercased().contains(kind.rawValue), "\(said)")
                #expect(!said.contains("proxy in front of it"), "\(said)")
            }
        }
    }

    @Test func `it leaves no message behind, and one channel however often it comes`() throws {
        try Front.nginx.with(Self.quick) { web, holdfast in
            for _ in 1...2 { _ = try examine(holdfast, port: web.port) }
            let answer = try holdfast.get("/push/-/channels", params: [("HOLDFAST_OPERATOR", "1")])
            let channels = try answer.json["channels"].array
            #expect(channels.map { $0["channel"].string } == ["news/doctor-examines"])
            for channel in channels { #expect(channel["messages"] == 0) }
        }
    }

    @Test func `the traffic of others does not spoil what it finds`() throws {
        try Front.nginx.with(Self.quick) { web, holdfast in
            // They are released and come back all the time, and some leave.
            let others = try (0..<20).map { _ in try HTTPClient(port: web.port) }
            for other in others { try other.send("GET", "/push/news/others?wait=1") }
            let outcome = try examine(holdfast, port: web.port)
            #expect(outcome.problems == [])
            #expect(outcome.verdicts("departures") == ["ok"])
            for other in others { #expect(try other.answer().status == 200) }
        }
    }

    @Test func `a channel that others use is not blamed on the web server`() throws {
        let settings =
            "[allow news/**]\npublish = everyone\nread = everyone\n[hold]\nmax_wait = 55s\n"
        try Front.nginx.with(settings) { web, holdfast in
            // They wait there already when it comes, and go on waiting.
            let others = try (0..<3).map { _ in try HTTPClient(port: web.port) }
            for other in others { try other.send("GET", "/push/news/today?wait=50") }
            try holdfast.waitForHeld(others.count)
            let outcome = try examine(
                holdfast,
                port: web.port,
                ["--channel", "news/today"],
                patience: 2
            )
            #expect(outcome.problems == [])
            #expect(outcome.verdicts("delivery") == ["cannot tell"])
            let why = outcome.findings("delivery").first?["sentence"].string ?? ""
            #expect(why.contains("[allow doctor-examines] read = everyone"))
            try holdfast.publish("news/today", "end")
            for other in others { #expect(try other.answer().status == 200) }
        }
    }

    @Test func `without the bus it asks the operator's page, with the credentials given`() throws {
        let options = [
            "--parameters", "fastcgi_param HOLDFAST_OPERATOR $operator if_not_empty;",
        ]
        let map = (
            "http {", "http {\nmap $http_authorization $operator { default \"\"; \"let me\" 1; }"
        )
        try Front.nginx.with(Self.quick, options: options, edits: [map]) { web, holdfast in
            let known = try examine(
                holdfast,
                port: web.port,
                ["--header", "Authorization: let me"],
                knowsBus: false
            )
            #expect(known.problems == [])
            // Without the bus it finds no channel by itself.
            #expect(known.verdicts("departures") == ["cannot tell"])
            let named = try examine(
                holdfast,
                port: web.port,
                ["--header", "Authorization: let me", "--channel", "news/doctor-1"],
                knowsBus: false
            )
            #expect(named.problems == [])
            #expect(named.verdicts("departures") == ["ok"])
            #expect(named.verdicts("delivery") == ["cannot tell"])
            #expect(named.verdicts("operator pages") == ["ok"])
            let unknown = try examine(
                holdfast,
                port: web.port,
                ["--channel", "news/doctor-1"],
                knowsBus: false
            )
            #expect(unknown.verdicts("departures") == ["cannot tell"])
            #expect(unknown.verdicts("hold time") == ["ok"])
            #expect(unknown.exit == .exited(0))
        }
    }

    @Test func `the bus of another Holdfast says nothing about the site`() throws {
        try Front.nginx.with(Self.quick) { web, _ in
            try HoldfastServer.with(Self.quick) { other in
                let outcome = try examine(other, port: web.port)
                #expect(outcome.problems == [])
                #expect(outcome.exit == .exited(0))
                #expect(outcome.verdicts("delivery") == ["cannot tell"])
                #expect(outcome.verdicts("departures") == ["cannot tell"])
            }
        }
    }

    // MARK: No answer

    @Test func `a wrong mount is diagnosed`() throws {
        let options = ["--server", "location /live/ { fastcgi_pass holdfast; }"]
        try Front.nginx.with(Self.quick, options: options) { web, holdfast in
            let run = try run(holdfast, "http://127.0.0.1:\(web.port)/live/")
            #expect(run.exit == .exited(1))
            let output = String(decoding: run.output, as: UTF8.self)
            #expect(output.contains("serves nothing below /live/"))
            #expect(output.contains("base = /live/"))
            #expect(!output.contains("not ready"))
        }
    }

    @Test(arguments: ["chat", "news"])
    func `a URL that goes too deep is diagnosed`(closedOrOpen: String) throws {
        try Front.nginx.with(Self.quick) { web, holdfast in
            let run = try run(holdfast, "http://127.0.0.1:\(web.port)/push/\(closedOrOpen)")
            #expect(run.exit == .exited(1))
            let output = String(decoding: run.output, as: UTF8.self)
            #expect(output.contains("takes /push/\(closedOrOpen)/-/ready for a channel"))
            #expect(output.contains("mounted at /push/ here"))
        }
    }

    @Test(arguments: [true, false])
    func `a web server that does not reach the socket while the bus answers`(asShipped: Bool) throws
    {
        var edits = [
            (
                "location /push/ {",
                "location /push/ { fastcgi_pass unix:/nonexistent; }\nlocation /x/ {"
            )
        ]
        if !asShipped { edits.append(("error_page 502 503 504 = $holdfast_away;", "")) }
        try Front.nginx.with(Self.quick, edits: edits) { web, holdfast in
            web.expectsFailures = true
            let run = try run(holdfast, "http://127.0.0.1:\(web.port)/push/")
            #expect(run.exit == .exited(1))
            let output = String(decoding: run.output, as: UTF8.self)
            #expect(output.contains("although Holdfast runs"))
            #expect(output.contains(holdfast.address.description))
            #expect(!output.contains("systemctl"))
        }
    }

    @Test func `an unreachable site and wrong usage have their exit codes`() throws {
        try HoldfastServer.with(Self.quick) { holdfast in
            let nobody = try run(holdfast, "http://127.0.0.1:\(try Ports.free())/push/")
            #expect(nobody.exit == .exited(69))
            #expect(nobody.error.contains("cannot be reached"))
            for url in ["example.org", "ftp://example.org/", "http://127.0.0.1/push/?a=b"] {
                #expect(try run(holdfast, url).exit == .exited(64))
            }
            #expect(
                try run(holdfast, "http://127.0.0.1/push/", ["--patience", "0"]).exit == .exited(64)
            )
        }
    }

    @Test func `an ini file that is none was reported after the site did not answer`() throws {
        let directory = try TestDirectory()
        let run = try ChildProcess.run(
            try Place.holdfast,
            [
                "doctor", "http://127.0.0.1:\(try Ports.free())/push/", "--config",
                directory.file("none.ini"),
            ],
            directory: directory
        )
        #expect(run.exit == .exited(78))
        #expect(run.error.contains("none.ini") && !run.error.contains("cannot be reached"))
    }

    @Test func `without curl it says how to get it`() throws {
        try HoldfastServer.with(Self.quick) { holdfast in
            let run = try ChildProcess.run(
                try Place.holdfast,
                ["doctor", "http://127.0.0.1/push/"],
                directory: holdfast.directory,
                environment: ["PATH": holdfast.directory.path]
            )
            #expect(run.exit == .exited(69))
            #expect(run.error.contains("apt install curl"))
        }
    }

    @Test func `a path without Holdfast is a problem`() throws {
        try Front.nginx.with(Self.quick) { web, holdfast in
            // It has no such file.
            web.expectsFailures = true
            let run = try run(holdfast, "http://127.0.0.1:\(web.port)/elsewhere/")
            #expect(run.exit == .exited(1))
            let output = String(decoding: run.output, as: UTF8.self)
            #expect(output.contains("No Holdfast answers below this URL"))
        }
    }
}
