internal import Foundation

/// A `holdfast serve` of a test's own.
///
/// Made by `with`, which asserts at the end what no test writes down: that SIGTERM ends it with status 0 and that
/// nothing of level error or critical is in its log.
package final class HoldfastServer {
    package enum Listen {
        case unix, tcp, tcp6
        /// A socket on descriptor 0 that another program makes, which then starts the process.
        case inherited
    }

    /// Everything is open to everyone, and holds last as long as they are asked to.
    package static let open = """
        [allow **]
        read = everyone
        publish = everyone
        [hold]
        jitter = 0%

        """

    package let directory: TestDirectory
    package let address: Address
    package let iniFile: String
    /// Where its bus socket is, unless the settings say otherwise.
    package var busSocket: String { directory.file("bus.sock") }
    package private(set) var process: ChildProcess?
    /// A test that provokes errors says so.
    package var expectsErrors = false
    /// The program that starts it, if not the test itself; set before the start.
    package var manager: ServiceManager?

    private let listen: Listen
    /// Commands of a shell that becomes the process.
    private let prelude: String?

    /// - Parameters:
    ///   - prelude: what a shell does before it becomes the process, as `ulimit -n 64` or `exec 2>file`.
    ///   - settings: ini text besides [fastcgi] and [bus].
    ///   - fastcgi: further lines of [fastcgi].
    ///   - bus: further lines of [bus]; with `directory` among them, in the place of the test's own.
    package init(
        _ settings: String = open,
        fastcgi: [String] = [],
        bus: [String] = [],
        listen: Listen = .unix,
        prelude: String? = nil,
        directory: TestDirectory? = nil
    ) throws {
        self.prelude = prelude
        let directory = try directory ?? TestDirectory()
        self.directory = directory
        self.listen = listen
        iniFile = directory.file("holdfast.ini")
        switch listen {
        case .unix, .inherited: address = .unix(directory.file("holdfast.sock"))
        case .tcp: address = .tcp(try Ports.free())
        case .tcp6: address = .tcp6(try Ports.free())
        }
        try writeSettings(settings, fastcgi: fastcgi, bus: bus)
    }

    package static func with<Result>(
        _ settings: String = open,
        fastcgi: [String] = [],
        bus: [String] = [],
        listen: Listen = .unix,
        prelude: String? = nil,
        _ body: (HoldfastServer) throws -> Result
    ) throws -> Result {
        let server = try HoldfastServer(
            settings,
            fastcgi: fastcgi,
            bus: bus,
            listen: listen,
            prelude: prelude
        )
        return try server.run(body)
    }

    /// With a copy of conf/chat.ini; and the group, for web servers that root started.
    ///
    /// - Parameter edits: further replacements; each must occur.
    package static func withChat<Result>(
        edits: [(String, String)] = [],
        _ body: (HoldfastServer, _ ports: (first: UInt16, second: UInt16)) throws -> Result
    ) throws -> Result {
        let ports = try (first: Ports.free(), second: Ports.free())
        let server = try HoldfastServer()
        var edits = edits
        if Place.isRoot, Place.hasWebGroup {
            edits.append(("[fastcgi]", "[fastcgi]\ngroup = www-data"))
        }
        let text = try Derived.text(
            "chat.ini",
            [
                "--socket", server.address.description, "--bus-socket", server.busSocket,
                "--bus", server.directory.file("bus"),
                "--port", "\(ports.first)", "--second", "\(ports.second)",
            ],
            in: server.directory
        )
        try server.directory.write(
            Derived.edit(text, edits, of: "conf/chat.ini"),
            to: "holdfast.ini"
        )
        return try server.run { try body($0, ports) }
    }

    private func run<Result>(_ body: (HoldfastServer) throws -> Result) throws -> Result {
        do {
            try start()
            let result = try body(self)
            try finish()
            return result
        } catch {
            throw HarnessError("\(error)\nlog of holdfast:\n\(lastLines)")
        }
    }

    /// Writes the ini file anew; `reload` or a restart applies it.
    package func writeSettings(_ settings: String, fastcgi: [String] = [], bus: [String] = [])
        throws
    {
        var text = "[fastcgi]\n"
        text += "listen = \(listen == .inherited ? "inherited" : address.description)\n"
        if listen == .unix, Place.isRoot, Place.hasWebGroup { text += "group = www-data\n" }
        text += fastcgi.map { "\($0)\n" }.joined()
        text += "[bus]\n"
        if !bus.contains(where: { $0.hasPrefix("directory") }) {
            text += "directory = \(try directory.makeDirectory("bus", mode: 0o770))\n"
        }
        if !bus.contains(where: { $0.hasPrefix("socket =") }) { text += "socket = \(busSocket)\n" }
        text += bus.map { "\($0)\n" }.joined() + settings
        try directory.write(text, to: "holdfast.ini")
    }

    // MARK: The process

    package func start() throws {
        try launch()
        try waitUntilReady()
    }

    /// Starts the process and does not wait.
    package func launch() throws { process = try launched() }

    /// Starts a newer process beside the one that runs, which is to take over from it, and does not wait.
    package func launchNewer() throws -> ChildProcess { try launched(["--take-over"]) }

    /// Lets a newer process take over; the older one must end well. The newer one is `process` then.
    package func renew() throws {
        let newer = try launchNewer()
        guard let exit = try process?.wait(), exit == .exited(0) else {
            throw HarnessError("the older process has not handed over")
        }
        process = newer
        try waitUntilReady()
    }

    /// The older process has handed over to this one.
    package func adopt(_ newer: ChildProcess) { process = newer }

    private func launched(_ arguments: [String] = []) throws -> ChildProcess {
        var command = [try Place.holdfast, "serve", "--config", iniFile] + arguments
        if let prelude { command = ["/bin/sh", "-c", prelude + #"; exec "$0" "$@""#] + command }
        var environment = ProcessInfo.processInfo.environment
        if let manager {
            command = ["/bin/sh", "-c", ServiceManager.prelude] + command
            environment.merge(manager.environment) { $1 }
        }
        return try ChildProcess(
            command[0],
            Array(command.dropFirst()),
            name: "holdfast",
            directory: directory,
            environment: environment,
            descriptors: manager?.descriptors ?? [:]
        )
    }

    /// By trying; a process that ended instead says why.
    package func waitUntilReady() throws {
        try waitFor("holdfast is ready") {
            if let exit = process?.exitNow() { throw HarnessError("holdfast \(exit)") }
            return try? self.get("/push/-/ready").status == 200 ? () : nil
        }
    }

    /// SIGTERM, and the end of the process.
    @discardableResult
    package func stop() throws -> ChildProcess.Exit {
        guard let process else { throw HarnessError("holdfast is not running") }
        process.signal(SIGTERM)
        defer { self.process = nil }
        return try process.wait()
    }

    package func kill() throws {
        process?.signal(SIGKILL)
        try process?.wait()
        process = nil
    }

    package func reload() { process?.signal(SIGHUP) }

    /// What every test ends with; `with` calls it.
    package func finish() throws {
        if process != nil {
            let exit = try stop()
            guard exit == .exited(0) else { throw HarnessError("holdfast \(exit) after SIGTERM") }
        }
        let errors = errorLines
        guard expectsErrors || errors.isEmpty else {
            throw HarnessError("errors in the log: \(errors.joined(separator: "\n"))")
        }
    }

    package var openDescriptors: Int { process?.openDescriptors ?? 0 }

    /// What they are, for a test that finds too many.
    package var descriptorTargets: [String] { process?.descriptorTargets ?? [] }

    package var log: String { Files.text(directory.file("holdfast.err")) }

    package var errorLines: [String] {
        log.split(separator: "\n").map(String.init).filter { line in
            let words = line.split(separator: " ", maxSplits: 2)
            // What is no line of the log is a trap or an uncaught error.
            guard words.count > 1, words[0].last == "Z" else { return true }
            return words[1] == "error" || words[1] == "critical"
        }
    }

    private var lastLines: String {
        log.split(separator: "\n").suffix(20).joined(separator: "\n")
    }

    // MARK: Talking to it, without a web server

    package func peer(receiveBuffer: Int32? = nil) throws -> FastCGIPeer {
        try FastCGIPeer(address, receiveBuffer: receiveBuffer)
    }

    /// One request on a connection of its own.
    package func exchange(_ request: FastCGIRequest) throws -> HTTPAnswer {
        let peer = try peer()
        try peer.send(request)
        let answer = try peer.answer()
        try peer.expectClosed()
        return answer
    }

    package func get(
        _ target: String,
        _ fields: [String: String] = [:],
        params: [(String, String)] = []
    ) throws -> HTTPAnswer {
        try exchange(FastCGIRequest("GET", target, fields: fields, params: params))
    }

    package func post(
        _ target: String,
        _ body: String,
        type: String = "text/plain",
        fields: [String: String] = [:],
        params: [(String, String)] = []
    ) throws -> HTTPAnswer {
        try exchange(.publish(target, body, type: type, fields: fields, params: params))
    }

    /// Publishes text; returns the message's id.
    @discardableResult
    package func publish(_ channel: String, _ text: String) throws -> String {
        let answer = try post("/push/\(channel)", text)
        guard answer.status == 201, let id = try answer.json["id"].string else {
            throw HarnessError("publishing to \(channel): \(answer.status) \(answer.text)")
        }
        return id
    }

    /// The position of a channel now.
    package func cursor(_ channel: String) throws -> String {
        let answer = try get("/push/\(channel)")
        guard let cursor = try answer.json["cursor"].string else {
            throw HarnessError("no cursor for \(channel): \(answer.status) \(answer.text)")
        }
        return cursor
    }

    /// A poll that is held when this returns.
    package func hold(
        _ target: String,
        id: UInt16 = 1,
        keep: Bool = false
    ) throws -> FastCGIPeer {
        let before = try metrics()["holdfast_holds_total"]
        let peer = try peer()
        try peer.send(FastCGIRequest("GET", target), id: id, keep: keep)
        try waitUntil("the poll is held") { try metrics()["holdfast_holds_total"] > before }
        return peer
    }

    /// A client of the bus socket, once that is there.
    package func busClient() throws -> LineClient {
        try waitFor("the bus socket") { try? LineClient(busSocket) }
    }

    package func metrics() throws -> Metrics {
        let answer = try get("/push/-/metrics", params: [("HOLDFAST_OPERATOR", "1")])
        guard answer.status == 200 else { throw HarnessError("metrics: \(answer.status)") }
        return Metrics(answer.text)
    }

    /// `-/status`, of all processes of the bus.
    package func status() throws -> JSON {
        let answer = try get("/push/-/status", params: [("HOLDFAST_OPERATOR", "1")])
        guard answer.status == 200 else { throw HarnessError("status: \(answer.status)") }
        return try answer.json
    }

    /// The members of the channel, in the order in which they came.
    ///
    /// Waits until the process has read in the log which members came and left before it started; until then it answers
    /// 503.
    package func members(_ channel: String) throws -> [JSON] {
        let target = "/push/-/presence/\(channel)"
        let answer = try waitFor("presence is known") {
            let answer = try get(target)
            return answer.status == 503 ? nil : answer
        }
        guard answer.status == 200 else {
            throw HarnessError("presence on \(channel): \(answer.status) \(answer.text)")
        }
        return try answer.json["members"].array
    }

    package func waitForHeld(_ count: Int) throws {
        var last = -1
        try waitUntil("\(count) held requests; the last count was \(last)") {
            last = try metrics().held
            return last == count
        }
    }
}
