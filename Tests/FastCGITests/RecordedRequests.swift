import Testing

@testable import FastCGI

/// Requests in the manner of the web servers: which variables they send, in which order, and how they cut and
/// pad their records.
struct RecordedRequest: CustomTestStringConvertible {
    let server: String
    let id: UInt16
    let keep: Bool
    let pairs: [UInt8]
    let body: [UInt8]
    let bytes: [UInt8]

    var testDescription: String { server }

    var seen: Seen { .request(id: id, keep: keep, dropped: false, pairs: pairs, body: body) }

    init(
        _ server: String,
        id: UInt16 = 1,
        keep: Bool = false,
        variables: KeyValuePairs<String, String>,
        body: String = "",
        padded: Bool = false,
        pieceLength: Int = 65_528
    ) {
        self.server = server
        self.id = id
        self.keep = keep
        self.body = [UInt8](body)
        pairs = encodedPairs(variables)
        func stream(_ type: UInt8, _ content: [UInt8]) -> [UInt8] {
            var bytes: [UInt8] = []
            for start in stride(from: 0, to: content.count, by: pieceLength) {
                let piece = content[start..<min(start + pieceLength, content.count)]
                bytes += Record.record(type, id: id, piece, padding: padded ? nil : 0)
            }
            return bytes + Record.record(type, id: id, [])
        }
        bytes =
            Record.beginRequest(id: RequestID(id)!, keepConnection: keep)
            + stream(Record.params, pairs) + stream(Record.stdin, self.body)
    }

    static let all: [RecordedRequest] = [
        RecordedRequest(
            "nginx",
            keep: true,
            variables: [
                "QUERY_STRING": "channel=news&since=7f3a-1021", "REQUEST_METHOD": "GET",
                "CONTENT_TYPE": "", "CONTENT_LENGTH": "", "SCRIPT_NAME": "/push/poll",
                "REQUEST_URI": "/push/poll?channel=news&since=7f3a-1021",
                "DOCUMENT_URI": "/push/poll", "DOCUMENT_ROOT": "/usr/share/nginx/html",
                "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_SCHEME": "http",
                "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_SOFTWARE": "nginx/1.22.1",
                "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "40112", "SERVER_ADDR": "127.0.0.1",
                "SERVER_PORT": "8080", "SERVER_NAME": "", "REDIRECT_STATUS": "200",
                "HOLDFAST_READ": "news/*", "HTTP_HOST": "127.0.0.1:8080",
                "HTTP_USER_AGENT": "curl/7.88.1", "HTTP_ACCEPT": "*/*",
            ],
            padded: true
        ),
        RecordedRequest(
            "lighttpd",
            variables: [
                "CONTENT_LENGTH": "5", "QUERY_STRING": "", "REQUEST_URI": "/push/publish",
                "SCRIPT_NAME": "", "PATH_INFO": "/push/publish", "REQUEST_METHOD": "POST",
                "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "lighttpd/1.4.69",
                "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_SCHEME": "http", "SERVER_PORT": "8081",
                "SERVER_ADDR": "127.0.0.1", "SERVER_NAME": "localhost", "REMOTE_ADDR": "127.0.0.1",
                "REMOTE_PORT": "55220", "DOCUMENT_ROOT": "/var/www/html",
                "HTTP_CONTENT_LENGTH": "5", "HTTP_HOST": "localhost:8081",
                "CONTENT_TYPE": "text/plain",
            ],
            body: "hello"
        ),
        RecordedRequest(
            "Apache mod_proxy_fcgi, chunked",
            variables: [
                "SCRIPT_FILENAME": "proxy:fcgi://app/push/publish", "HTTP_HOST": "localhost:8082",
                "HTTP_TRANSFER_ENCODING": "chunked", "HTTP_EXPECT": "100-continue",
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "SERVER_SIGNATURE": "", "SERVER_SOFTWARE": "Apache/2.4 (Debian)",
                "SERVER_NAME": "localhost", "SERVER_ADDR": "::1", "SERVER_PORT": "8082",
                "REMOTE_ADDR": "::1", "DOCUMENT_ROOT": "/var/www/html", "REQUEST_SCHEME": "http",
                "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1",
                "REQUEST_METHOD": "POST", "QUERY_STRING": "", "REQUEST_URI": "/push/publish",
                "SCRIPT_NAME": "/push/publish",
            ],
            body: "a body in several records",
            pieceLength: 300
        ),
        RecordedRequest(
            "Caddy, unknown length",
            variables: [
                "AUTH_TYPE": "", "CONTENT_LENGTH": "-1", "CONTENT_TYPE": "application/json",
                "DOCUMENT_ROOT": "/srv/app", "DOCUMENT_URI": "/push/publish",
                "GATEWAY_INTERFACE": "CGI/1.1", "HTTP_CONTENT_LENGTH": "",
                "HTTP_HOST": "localhost:8083", "HTTP_X_FORWARDED_PROTO": "http",
                "PATH_INFO": "", "QUERY_STRING": "", "REMOTE_ADDR": "127.0.0.1",
                "REMOTE_HOST": "127.0.0.1", "REMOTE_IDENT": "", "REMOTE_PORT": "47004",
                "REMOTE_USER": "", "REQUEST_METHOD": "POST", "REQUEST_SCHEME": "http",
                "REQUEST_URI": "/push/publish", "SCRIPT_FILENAME": "/srv/app/push/publish",
                "SCRIPT_NAME": "/push/publish", "SERVER_NAME": "localhost",
                "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "Caddy/v2.6.2",
            ],
            body: #"{"channel":"news","data":"as long as it is"}"#,
            padded: true
        ),
        RecordedRequest(
            "HAProxy, third id",
            id: 3,
            keep: true,
            variables: [
                "DOCUMENT_ROOT": "/srv/app", "SCRIPT_NAME": "/push/poll",
                "REQUEST_URI": "/push/poll?channel=a", "REQUEST_METHOD": "GET",
                "QUERY_STRING": "channel=a", "SERVER_NAME": "localhost", "SERVER_PORT": "8084",
                "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "60644",
                "GATEWAY_INTERFACE": "CGI/1.1", "HTTP_HOST": "localhost:8084",
                "SERVER_SOFTWARE": "haproxy 2.6.12",
            ]
        ),
        RecordedRequest(
            "cgi-fcgi, pairs across records",
            variables: [
                "SHELL": "/bin/sh", "PWD": "/home/user", "HOME": "/home/user",
                "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "3", "QUERY_STRING": "channel=b",
                "LS_COLORS": String(repeating: "*.tar=01;31:", count: 24), "_": "/usr/bin/cgi-fcgi",
            ],
            body: "xyz",
            padded: true,
            pieceLength: 61
        ),
    ]
}
