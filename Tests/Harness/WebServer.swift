internal import Glibc

/// A web server of a test's own in front of Holdfast, with the configuration that is in conf/.
///
/// A copy by scripts/derive, so that what is tested is what is shipped.
package final class WebServer {
    package let kind: Kind
    package let directory: TestDirectory
    package let configuration: String
    package let port: UInt16
    /// The same pages on another port.
    package let secondPort: UInt16
    /// Cleartext HTTP/2 with prior knowledge.
    package let http2Port: UInt16
    package private(set) var process: ChildProcess
    /// Whether it may log that it cannot reach Holdfast.
    package var expectsFailures = false

    /// - Parameters:
    ///   - keepConnections: nginx only; the others never keep one.
    ///   - ports: where something else has to know them before; nil for free ones.
    ///   - options: further ones of scripts/derive.
    ///   - edits: further replacements in its configuration; each must occur.
    ///   - addition: lines at the end, with nginx of its http block.
    ///   - text: a configuration in the place of the one in conf/, with the same literals.
    package convenience init(
        _ kind: Kind,
        before holdfast: HoldfastServer,
        keepConnections: Bool = true,
        ports: (first: UInt16, second: UInt16)? = nil,
        options: [String] = [],
        edits: [(String, String)] = [],
        addition: String = "",
        text: String? = nil
    ) throws {
        let ports = try ports ?? (Ports.free(), Ports.free())
        let place = Place(
            directory: holdfast.directory,
            socket: holdfast.address.description,
            iniFile: holdfast.iniFile,
            ports: (ports.first, ports.second, kind == .nginx ? try Ports.free() : ports.first),
            keepsConnections: kind != .nginx || keepConnections
        )
        if kind.isCGI { try Self.makeCGIProgram(place) }
        var options = options
        if !addition.isEmpty {
            options += ["--append", try place.directory.write(addition, to: "\(kind).addition")]
        }
        try self.init(kind, text, place, options, edits: edits)
    }

    /// A routing layer in front of a web server.
    package convenience init(
        _ kind: Kind,
        before inner: WebServer,
        edits: [(String, String)] = []
    ) throws {
        let port = try Ports.free()
        let place = Place(
            directory: try TestDirectory(),
            inner: inner.port,
            ports: (port, port, port)
        )
        try self.init(kind, nil, place, [], edits: edits)
    }

    private init(
        _ kind: Kind,
        _ text: String?,
        _ place: Place,
        _ options: [String],
        edits: [(String, String)]
    ) throws {
        self.kind = kind
        directory = place.directory
        (port, secondPort, http2Port) = place.ports
        // Written by a server that is another user by then.
        try directory.makeDirectory("log", mode: Harness.Place.isRoot ? 0o777 : 0o755)
        try directory.makeDirectory("temp", mode: Harness.Place.isRoot ? 0o777 : 0o755)
        let copy = try Derived.edit(
            kind.derived(place, from: text, options),
            edits,
            of: "the configuration of \(kind)"
        )
        configuration = try directory.write(copy, to: "\(kind).conf")
        process = try ChildProcess(
            try kind.tool.path,
            kind.arguments(place, configuration: configuration),
            name: kind.rawValue,
            directory: directory,
            environment: [
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOLDFAST_INI": place.iniFile,
                "HOLDFAST_EARLY_HEADERS": "on",
                // Caddy keeps what it was last told, and certificates.
                "HOME": "\(place.path)/temp", "XDG_DATA_HOME": "\(place.path)/temp",
                "XDG_CONFIG_HOME": "\(place.path)/temp",
            ]
        )
        try waitUntilReady()
    }

    package static func with<Result>(
        _ kind: Kind,
        before holdfast: HoldfastServer,
        keepConnections: Bool = true,
        ports: (first: UInt16, second: UInt16)? = nil,
        options: [String] = [],
        edits: [(String, String)] = [],
        addition: String = "",
        text: String? = nil,
        _ body: (WebServer) throws -> Result
    ) throws -> Result {
        try WebServer(
            kind,
            before: holdfast,
            keepConnections: keepConnections,
            ports: ports,
            options: options,
            edits: edits,
            addition: addition,
            text: text
        ).run(body)
    }

    package static func with<Result>(
        _ kind: Kind,
        before inner: WebServer,
        edits: [(String, String)] = [],
        _ body: (WebServer) throws -> Result
    ) throws -> Result {
        try WebServer(kind, before: inner, edits: edits).run(body)
    }

    private func run<Result>(_ body: (WebServer) throws -> Result) throws -> Result {
        do {
            let result = try body(self)
            try finish()
            return result
        } catch {
            throw HarnessError("\(error)\nlog of \(kind):\n\(log.suffix(2000))")
        }
    }

    /// The binary by another name, where the server's own user can get at it.
    private static func makeCGIProgram(_ place: Place) throws {
        try place.directory.makeDirectory("www")
        try place.directory.makeDirectory("www/cgi-bin")
        // By a process of its own: a file that another test's child has open for writing cannot be run.
        try ChildProcess.run(
            "/bin/cp",
            [try Harness.Place.holdfast, place.cgiProgram],
            directory: place.directory
        )
    }

    /// Answers at all, be it 503; Holdfast may be down or not there yet.
    private func waitUntilReady() throws {
        try waitFor("\(kind) answers") {
            if let exit = process.exitNow() {
                throw HarnessError("\(kind) \(exit): \(process.errorText)\(log)")
            }
            return try? HTTPClient.exchange("GET", "\(kind.base)/-/live", port: port)
        }
    }

    /// Nginx begins new workers, and lets the old ones finish; lighttpd finishes, and begins anew.
    package func reload() { process.signal(kind.reloadSignal) }

    /// What every test ends with; `with` calls it.
    package func finish() throws {
        process.signal(SIGTERM)
        let exit = try process.wait()
        guard kind.mayExit(exit) else {
            throw HarnessError("\(kind) \(exit) after SIGTERM")
        }
        guard expectsFailures || complaints.isEmpty else {
            throw HarnessError("\(kind) complains: \(complaints.prefix(3).joined(separator: "\n"))")
        }
    }

    package var log: String {
        switch kind.tool {
        case .haproxy, .caddy: Files.text(process.errorFile) + Files.text(process.outputFile)
        default: Files.text(directory.file("log/error.log"))
        }
    }

    /// nginx's, as conf/nginx.conf names it.
    package var accessLog: String { Files.text(directory.file("log/access.log")) }

    private var complaints: [String] {
        log.split(separator: "\n").map(String.init).filter { line in
            kind.complaints.contains { line.contains($0) }
                && !kind.tolerated.contains { line.contains($0) }
        }
    }

    // MARK: Talking through it

    package func get(_ target: String, _ fields: [String: String] = [:]) throws -> HTTPAnswer {
        try HTTPClient.exchange("GET", target, fields, port: port)
    }

    package func post(
        _ target: String,
        _ body: String,
        _ fields: [String: String] = [:]
    ) throws -> HTTPAnswer {
        var fields = fields
        if fields["Content-Type"] == nil { fields["Content-Type"] = "text/plain" }
        return try HTTPClient.exchange("POST", target, fields, body: body, port: port)
    }
}
