internal import Foundation
internal import Glibc

extension WebServer {
    /// A web server's program, the way it reaches Holdfast, and the configuration in conf/ for it.
    package enum Kind: String, CaseIterable {
        case nginx, lighttpd, apache, haproxy, caddy
        /// By `holdfast cgi`.
        case lighttpdCGI, apacheCGI, busyboxCGI
        /// In front of another one, whose clients' departures they hide.
        case nginxRouting, apacheRouting

        /// Those with which a page would be served.
        package static let usual: [Kind] = [.nginx, .lighttpd]
        package static let fastCGI: [Kind] = [.nginx, .lighttpd, .apache, .haproxy, .caddy]
        package static let cgi: [Kind] = [.lighttpdCGI, .apacheCGI, .busyboxCGI]
        package static let routing: [Kind] = [.nginxRouting, .apacheRouting]

        package var tool: Tool {
            switch self {
            case .nginx, .nginxRouting: .nginx
            case .lighttpd, .lighttpdCGI: .lighttpd
            case .apache, .apacheCGI, .apacheRouting: .apache
            case .haproxy: .haproxy
            case .caddy: .caddy
            case .busyboxCGI: .busybox
            }
        }

        /// Where Holdfast is mounted, without the last `/`.
        package var base: String {
            self == .busyboxCGI ? "/cgi-bin/holdfast.cgi" : "/push"
        }

        /// In conf/; nil: it has none.
        var configuration: String? {
            switch self {
            case .nginx: "nginx.conf"
            case .lighttpd: "lighttpd.conf"
            case .apache: "apache.conf"
            case .haproxy: "haproxy.cfg"
            case .caddy: "Caddyfile"
            case .nginxRouting: "routing-layer/nginx.conf"
            case .apacheRouting: "routing-layer/apache.conf"
            case .lighttpdCGI: "cgi/lighttpd.conf"
            case .apacheCGI: "cgi/apache.conf"
            case .busyboxCGI: nil
            }
        }

        var isCGI: Bool { Self.cgi.contains(self) }

        /// What says in its log that server or responder did something wrong.
        var complaints: [String] {
            switch tool {
            case .nginx: ["[error]", "[crit]", "[alert]", "[emerg]"]
            case .lighttpd: ["(error)", "(critical)", "fcgi-server", "unexpected", "connect"]
            case .apache: [":error]", ":crit]", ":alert]", ":emerg]"]
            case .haproxy: ["[WARNING]", "[ALERT]"]
            case .caddy: ["\"level\":\"error\"", "\"level\":\"fatal\"", "panic"]
            default: []
            }
        }

        /// What it says though nothing is wrong: Caddy of clients that left in the middle of an answer; Apache, when it is
        /// told to end while a connection begins to wait for its next request, of the socket that it has closed already
        /// (later releases do not).
        var tolerated: [String] {
            switch tool {
            case .caddy: ["aborting with incomplete response"]
            case .apache: ["AH03093"]
            default: []
            }
        }

        /// How it may exit after SIGTERM.
        func mayExit(_ exit: ChildProcess.Exit) -> Bool {
            switch tool {
            // Also with 1 where connections were open.
            case .lighttpd: exit == .exited(0) || exit == .exited(1)
            case .haproxy: exit == .killed(SIGTERM)
            // It has no handler.
            case .busybox: exit == .killed(SIGTERM)
            default: exit == .exited(0)
            }
        }

        var reloadSignal: Int32 { tool == .lighttpd ? SIGUSR1 : SIGHUP }
    }

    /// What a server of a test's own is to be told.
    struct Place {
        let directory: TestDirectory
        var socket = ""
        var iniFile = ""
        /// Of the server behind it, of a routing layer.
        var inner: UInt16 = 0
        let ports: (first: UInt16, second: UInt16, http2: UInt16)
        var keepsConnections = true

        var path: String { directory.path }
        var cgiProgram: String { "\(path)/www/cgi-bin/holdfast.cgi" }
    }
}

extension WebServer.Kind {
    /// A copy of its configuration in conf/, or of this one with the same literals, by scripts/derive.
    func derived(
        _ place: WebServer.Place,
        from text: String?,
        _ further: [String]
    ) throws -> String {
        guard let configuration else { return text ?? "" }
        // So that the server may have as many as the copy says.
        Harness.Place.raiseDescriptorLimit()
        var options = [
            "--directory", place.path, "--port", "\(place.ports.first)",
            "--second", "\(place.ports.second)", "--http2", "\(place.ports.http2)",
            "--program", place.cgiProgram,
        ]
        if !place.socket.isEmpty { options += ["--socket", place.socket] }
        if !place.iniFile.isEmpty { options += ["--ini", place.iniFile] }
        if place.inner > 0 { options += ["--inner", "\(place.inner)"] }
        if !place.keepsConnections { options.append("--unkept") }
        if let text { options += ["--text", try place.directory.write(text, to: "\(self).text")] }
        return try Derived.text(configuration, options + further, in: place.directory)
    }

    func arguments(_ place: WebServer.Place, configuration: String) -> [String] {
        switch tool {
        case .nginx:
            [
                "-c", configuration, "-p", place.path, "-e", place.directory.file("log/error.log"),
                "-g", "daemon off;",
            ]
        case .lighttpd: ["-D", "-f", configuration]
        case .apache: ["-DFOREGROUND", "-f", configuration]
        case .haproxy: ["-f", configuration]
        case .caddy: ["run", "--adapter", "caddyfile", "--config", configuration]
        case .busybox:
            ["httpd", "-f", "-p", "127.0.0.1:\(place.ports.first)", "-h", "\(place.path)/www"]
                + (Harness.Place.isRoot ? ["-u", "www-data"] : [])
        default: []
        }
    }
}
