import Harness
import Testing

/// The ways by which a browser's request comes to Holdfast.
enum Front: CaseIterable, CustomTestStringConvertible {
    case nginx, nginxUnkept, nginxHTTP2, lighttpd, lighttpdHTTP2

    static var areUsable: Bool { Tool.usable(.nginx, .lighttpd, .curl) }

    var kind: WebServer.Kind {
        switch self {
        case .nginx, .nginxUnkept, .nginxHTTP2: .nginx
        case .lighttpd, .lighttpdHTTP2: .lighttpd
        }
    }

    var version: WaitingClient.Version {
        switch self {
        case .nginx, .nginxUnkept, .lighttpd: .http1
        case .nginxHTTP2, .lighttpdHTTP2: .http2
        }
    }

    var testDescription: String {
        switch self {
        case .nginx: "nginx, connections kept"
        case .nginxUnkept: "nginx, connections not kept"
        case .nginxHTTP2: "nginx, HTTP/2"
        case .lighttpd: "lighttpd"
        case .lighttpdHTTP2: "lighttpd, HTTP/2"
        }
    }

    /// Holdfast with this before it.
    func with<Result>(
        _ settings: String = HoldfastServer.open,
        options: [String] = [],
        edits: [(String, String)] = [],
        _ body: (WebServer, HoldfastServer) throws -> Result
    ) throws -> Result {
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(
                kind,
                before: holdfast,
                keepConnections: self != .nginxUnkept,
                options: options,
                edits: edits
            ) { try body($0, holdfast) }
        }
    }
}
