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

        /// As shipped.
        var text: String {
            configuration.map { Files.text("\(Harness.Place.root)/conf/\($0)") } ?? ""
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

        /// What it says though nothing is wrong, of clients that left in the middle of an answer.
        var tolerated: [String] { self == .caddy ? ["aborting with incomplete response"] : [] }

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
        let descriptors = min(65_536, Harness.Place.raiseDescriptorLimit())

        var path: String { directory.path }
        var cgiProgram: String { "\(path)/www/cgi-bin/holdfast.cgi" }
    }
}

extension WebServer.Kind {
    /// The pairs of scripts/lib.sh, in its order.
    func replacements(_ place: WebServer.Place) -> [(String, String)] {
        user
            + (isCGI && configuration != nil
                ? [
                    ("/usr/lib/cgi-bin/holdfast.cgi", place.cgiProgram),
                    ("/etc/holdfast.ini", place.iniFile),
                ] : [])
            + (Self.fastCGI.contains(self) ? [("/run/holdfast/holdfast.sock", place.socket)] : [])
            + programReplacements(place)
            + portReplacements(place)
    }

    /// Who the workers are, which only root can choose.
    private var user: [(String, String)] {
        if Harness.Place.isRoot { return [] }
        let literals: [String] =
            switch tool {
            case .nginx: ["user www-data;"]
            case .lighttpd: ["server.username = \"www-data\"", "server.groupname = \"www-data\""]
            case .apache: ["User www-data", "Group www-data"]
            case .haproxy: ["user haproxy", "group www-data"]
            default: []
            }
        return literals.map { ($0, "") }
    }

    private func programReplacements(_ place: WebServer.Place) -> [(String, String)] {
        let pages = [("/usr/share/holdfast/www", "\(Harness.Place.root)/conf/classic")]
        switch tool {
        case .nginx:
            return [
                ("/run/nginx.pid", "\(place.path)/nginx.pid"),
                ("/var/log/nginx/", "\(place.path)/log/"),
                ("/var/lib/nginx/", "\(place.path)/temp/"),
                ("worker_rlimit_nofile 65536;", "worker_rlimit_nofile \(place.descriptors);"),
                (
                    "worker_connections 32768;",
                    "worker_connections \(min(32_768, place.descriptors));"
                ),
            ] + (self == .nginx ? pages : [])
        case .lighttpd:
            return [
                ("/run/lighttpd.pid", "\(place.path)/lighttpd.pid"),
                ("/var/log/lighttpd/", "\(place.path)/log/"),
                ("/var/cache/lighttpd/uploads", "\(place.path)/temp"),
                ("server.max-fds = 65536", "server.max-fds = \(place.descriptors)"),
            ] + pages
        case .apache:
            return [
                ("ServerRoot /etc/apache2", "ServerRoot \(place.path)"),
                ("/var/run/apache2", "\(place.path)/temp"),
                ("/run/apache2.pid", "\(place.path)/apache2.pid"),
                ("/var/log/apache2/", "\(place.path)/log/"),
            ] + (self == .apacheRouting ? [] : pages)
        case .haproxy:
            // Two descriptors for each, and some.
            let connections = min(16_000, place.descriptors / 2 - 100)
            return pages + [("maxconn 16000", "maxconn \(connections)")]
        case .caddy: return [("admin localhost:2019", "admin off")]
        default: return []
        }
    }

    private func portReplacements(_ place: WebServer.Place) -> [(String, String)] {
        let first = ("0.0.0.0:8080", "127.0.0.1:\(place.ports.first)")
        let second = ("0.0.0.0:8081", "127.0.0.1:\(place.ports.second)")
        switch self {
        case .nginx: return [("0.0.0.0:8082", "127.0.0.1:\(place.ports.http2)"), second, first]
        case .lighttpd, .lighttpdCGI:
            return [
                ("server.bind = \"0.0.0.0\"", "server.bind = \"127.0.0.1\""),
                ("server.port = 8080", "server.port = \(place.ports.first)"),
            ] + (isCGI ? [] : [second])
        case .apache, .haproxy: return [second, first]
        case .caddy:
            return [
                ("bind 0.0.0.0", "bind 127.0.0.1"), (":8081", ":\(place.ports.second)"),
                (":8080", ":\(place.ports.first)"),
            ]
        case .apacheCGI: return [first]
        case .nginxRouting, .apacheRouting:
            return [
                ("127.0.0.1:8080", "127.0.0.1:\(place.inner)"),
                ("0.0.0.0:8090", "127.0.0.1:\(place.ports.first)"),
            ]
        case .busyboxCGI: return []
        }
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
