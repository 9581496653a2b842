internal import Foundation
internal import Glibc

extension WebServer {
    /// A web server's program, the way it reaches Holdfast, and the configuration in conf/ for it.
    package enum Kind: String, CaseIterable {
        case nginx, lighttpd
        /// By `holdfast cgi`.
        case lighttpdCGI, apacheCGI, busyboxCGI

        /// Those with which a page would be served.
        package static let usual: [Kind] = [.nginx, .lighttpd]
        package static let cgi: [Kind] = [.lighttpdCGI, .apacheCGI, .busyboxCGI]

        package var tool: Tool {
            switch self {
            case .nginx: .nginx
            case .lighttpd, .lighttpdCGI: .lighttpd
            case .apacheCGI: .apache
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
            default: []
            }
        }

        /// How it may exit after SIGTERM.
        func mayExit(_ exit: ChildProcess.Exit) -> Bool {
            switch tool {
            // Also with 1 where connections were open.
            case .lighttpd: exit == .exited(0) || exit == .exited(1)
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
        let socket: String
        let iniFile: String
        let ports: (first: UInt16, second: UInt16, http2: UInt16)
        let descriptors: Int

        var path: String { directory.path }
        var cgiProgram: String { "\(path)/www/cgi-bin/holdfast.cgi" }
    }
}

extension WebServer.Kind {
    /// The pairs of scripts/lib.sh, in its order.
    func replacements(_ place: WebServer.Place) -> [(String, String)] {
        let pages = "\(Harness.Place.root)/conf/classic"
        let isRoot = Harness.Place.isRoot
        switch tool {
        case .nginx:
            return (isRoot ? [] : [("user www-data;", "")]) + [
                ("/run/nginx.pid", "\(place.path)/nginx.pid"),
                ("/var/log/nginx/", "\(place.path)/log/"),
                ("/var/lib/nginx/", "\(place.path)/temp/"),
                ("worker_rlimit_nofile 65536;", "worker_rlimit_nofile \(place.descriptors);"),
                (
                    "worker_connections 32768;",
                    "worker_connections \(min(32_768, place.descriptors));"
                ),
                ("/usr/share/holdfast/www", pages),
                ("/run/holdfast/holdfast.sock", place.socket),
                ("0.0.0.0:8082", "127.0.0.1:\(place.ports.http2)"),
                ("0.0.0.0:8081", "127.0.0.1:\(place.ports.second)"),
                ("0.0.0.0:8080", "127.0.0.1:\(place.ports.first)"),
            ]
        case .lighttpd:
            let user = [
                ("server.username = \"www-data\"", ""), ("server.groupname = \"www-data\"", ""),
            ]
            let common = [
                ("/run/lighttpd.pid", "\(place.path)/lighttpd.pid"),
                ("/var/log/lighttpd/", "\(place.path)/log/"),
                ("/var/cache/lighttpd/uploads", "\(place.path)/temp"),
                ("server.max-fds = 65536", "server.max-fds = \(place.descriptors)"),
                ("/usr/share/holdfast/www", pages),
                ("server.bind = \"0.0.0.0\"", "server.bind = \"127.0.0.1\""),
                ("server.port = 8080", "server.port = \(place.ports.first)"),
            ]
            return (isRoot ? [] : user) + common
                + (isCGI
                    ? cgiReplacements(place)
                    : [
                        ("/run/holdfast/holdfast.sock", place.socket),
                        ("0.0.0.0:8081", "127.0.0.1:\(place.ports.second)"),
                    ])
        case .apache:
            return (isRoot ? [] : [("User www-data", ""), ("Group www-data", "")]) + [
                ("ServerRoot /etc/apache2", "ServerRoot \(place.path)"),
                ("/var/run/apache2", "\(place.path)/temp"),
                ("/run/apache2.pid", "\(place.path)/apache2.pid"),
                ("/var/log/apache2/", "\(place.path)/log/"),
                ("/usr/share/holdfast/www", pages),
                ("0.0.0.0:8080", "127.0.0.1:\(place.ports.first)"),
            ] + cgiReplacements(place)
        default: return []
        }
    }

    private func cgiReplacements(_ place: WebServer.Place) -> [(String, String)] {
        [
            ("/usr/lib/cgi-bin/holdfast.cgi", place.cgiProgram),
            ("/etc/holdfast.ini", place.iniFile),
        ]
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
        case .busybox:
            ["httpd", "-f", "-p", "127.0.0.1:\(place.ports.first)", "-h", "\(place.path)/www"]
                + (Harness.Place.isRoot ? ["-u", "www-data"] : [])
        default: []
        }
    }
}
