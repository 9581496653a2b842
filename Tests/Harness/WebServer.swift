internal import Glibc

/// A web server of a test's own in front of Holdfast, with the configuration that is in conf/.
///
/// Of that only the literals listed in scripts/lib.sh are replaced, so that what is tested is what is shipped.
package final class WebServer {
    package enum Kind: String, CaseIterable {
        case nginx, lighttpd
    }

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
    ///   - keepConnections: nginx only; lighttpd never keeps one.
    ///   - ports: where something else has to know them before; nil for free ones.
    ///   - edits: further replacements in its configuration; each must occur.
    ///   - addition: what is included at the end, with nginx of its http block.
    package init(
        _ kind: Kind,
        before holdfast: HoldfastServer,
        keepConnections: Bool = true,
        ports: (first: UInt16, second: UInt16)? = nil,
        edits: [(String, String)] = [],
        addition: String = ""
    ) throws {
        self.kind = kind
        directory = holdfast.directory
        port = try ports?.first ?? Ports.free()
        secondPort = try ports?.second ?? Ports.free()
        http2Port = kind == .nginx ? try Ports.free() : port
        let name = kind.rawValue
        // Written by a server that is another user by then.
        try directory.makeDirectory("log", mode: Place.isRoot ? 0o777 : 0o755)
        try directory.makeDirectory("temp", mode: Place.isRoot ? 0o777 : 0o755)

        let limit = Place.raiseDescriptorLimit()
        var text = Files.text("\(Place.root)/conf/\(name).conf")
        var replacements = Self.replacements(
            kind,
            directory: directory.path,
            socket: holdfast.address.description,
            descriptors: min(65_536, limit),
            ports: (port, secondPort, http2Port)
        )
        if kind == .nginx, !keepConnections {
            replacements.append(("fastcgi_keep_conn on;", "fastcgi_keep_conn off;"))
            text = text.replacing(/\n *keepalive [0-9]+;/, with: "")
        }
        if case .unix = holdfast.address {
        } else if kind == .nginx {
            text = text.replacing("server unix:", with: "server ")
        }
        if kind == .nginx, let end = text.lastIndex(of: "}") {
            text.insert(contentsOf: addition, at: end)
        } else {
            text += addition
        }
        for (from, to) in replacements + edits {
            guard text.contains(from) else {
                throw HarnessError("conf/\(name).conf has no '\(from)'")
            }
            text = text.replacing(from, with: to)
        }
        configuration = try directory.write(text, to: "\(name).conf")
        let arguments =
            kind == .nginx
            ? [
                "-c", configuration, "-p", directory.path, "-e", directory.file("log/error.log"),
                "-g", "daemon off;",
            ]
            : ["-D", "-f", configuration]
        process = try ChildProcess(
            try (kind == .nginx ? Tool.nginx : Tool.lighttpd).path,
            arguments,
            name: name,
            directory: directory
        )
        try waitUntilReady()
    }

    package static func with<Result>(
        _ kind: Kind,
        before holdfast: HoldfastServer,
        keepConnections: Bool = true,
        ports: (first: UInt16, second: UInt16)? = nil,
        edits: [(String, String)] = [],
        addition: String = "",
        _ body: (WebServer) throws -> Result
    ) throws -> Result {
        let server = try WebServer(
            kind,
            before: holdfast,
            keepConnections: keepConnections,
            ports: ports,
            edits: edits,
            addition: addition
        )
        do {
            let result = try body(server)
            try server.finish()
            return result
        } catch {
            throw HarnessError("\(error)\nlog of \(kind):\n\(server.log.suffix(2000))")
        }
    }

    /// The pairs of scripts/lib.sh, in its order.
    private static func replacements(
        _ kind: Kind,
        directory: String,
        socket: String,
        descriptors: Int,
        ports: (first: UInt16, second: UInt16, http2: UInt16)
    ) -> [(String, String)] {
        let pages = "\(Place.root)/conf/classic"
        switch kind {
        case .nginx:
            return (Place.isRoot ? [] : [("user www-data;", "")]) + [
                ("/run/nginx.pid", "\(directory)/nginx.pid"),
                ("/var/log/nginx/", "\(directory)/log/"),
                ("/var/lib/nginx/", "\(directory)/temp/"),
                ("worker_rlimit_nofile 65536;", "worker_rlimit_nofile \(descriptors);"),
                ("worker_connections 32768;", "worker_connections \(min(32_768, descriptors));"),
                ("/usr/share/holdfast/www", pages),
                ("/run/holdfast/holdfast.sock", socket),
                ("0.0.0.0:8082", "127.0.0.1:\(ports.http2)"),
                ("0.0.0.0:8081", "127.0.0.1:\(ports.second)"),
                ("0.0.0.0:8080", "127.0.0.1:\(ports.first)"),
            ]
        case .lighttpd:
            return
                (Place.isRoot
                ? []
                : [("server.username = \"www-data\"", ""), ("server.groupname = \"www-data\"", "")])
                + [
                    ("/run/lighttpd.pid", "\(directory)/lighttpd.pid"),
                    ("/var/log/lighttpd/", "\(directory)/log/"),
                    ("/var/cache/lighttpd/uploads", "\(directory)/temp"),
                    ("server.max-fds = 65536", "server.max-fds = \(descriptors)"),
                    ("/usr/share/holdfast/www", pages),
                    ("/run/holdfast/holdfast.sock", socket),
                    ("0.0.0.0:8081", "127.0.0.1:\(ports.second)"),
                    ("server.bind = \"0.0.0.0\"", "server.bind = \"127.0.0.1\""),
                    ("server.port = 8080", "server.port = \(ports.first)"),
                ]
        }
    }

    /// Answers at all, be it 503; Holdfast may be down or not there yet.
    private func waitUntilReady() throws {
        try waitFor("\(kind) answers") {
            if let exit = process.exitNow() {
                throw HarnessError("\(kind) \(exit): \(process.errorText)\(log)")
            }
            return try? HTTPClient.exchange("GET", "/push/-/live", port: port)
        }
    }

    /// Nginx begins new workers, and lets the old ones finish; lighttpd finishes, and begins anew.
    package func reload() { process.signal(kind == .nginx ? SIGHUP : SIGUSR1) }

    /// What every test ends with; `with` calls it.
    package func finish() throws {
        process.signal(SIGTERM)
        let exit = try process.wait()
        // Lighttpd also exits with 1 where connections were open.
        guard exit == .exited(0) || kind == .lighttpd && exit == .exited(1) else {
            throw HarnessError("\(kind) \(exit) after SIGTERM")
        }
        guard expectsFailures || complaints.isEmpty else {
            throw HarnessError("\(kind) complains: \(complaints.prefix(3).joined(separator: "\n"))")
        }
    }

    package var log: String { Files.text(directory.file("log/error.log")) }

    /// What says that server or responder did something wrong.
    private var complaints: [String] {
        let words =
            kind == .nginx
            ? ["[error]", "[crit]", "[alert]", "[emerg]"]
            : ["(error)", "(critical)", "fcgi-server", "unexpected", "connect"]
        return log.split(separator: "\n").map(String.init).filter { line in
            words.contains { line.contains($0) }
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
