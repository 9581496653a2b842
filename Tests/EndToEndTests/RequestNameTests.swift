import Harness
import Testing

/// A request is found again in Holdfast's log, by the name that the web server gave it or that its answer tells.
@Suite(
    .enabled(
        if: Tool.usable(.nginx, .lighttpd, .apache, .haproxy, .caddy, .curl),
        "a web server or curl is not installed"
    )
)
struct RequestNameTests {
    private static let settings =
        "[allow news]\nread = everyone\npublish = everyone\n[log]\nlevel = debug\n"

    /// nginx's line, which conf/nginx.conf has as a comment.
    private static let nginxEdit = (
        "        #   fastcgi_param HOLDFAST_REQUEST_ID $request_id;",
        "        fastcgi_param HOLDFAST_REQUEST_ID $request_id;"
    )

    @Test(arguments: WebServer.Kind.fastCGI)
    func `a refused and a held request are found in the log`(kind: WebServer.Kind) throws {
        try HoldfastServer.with(Self.settings) { holdfast in
            let edits = kind == .nginx ? [Self.nginxEdit] : []
            try WebServer.with(kind, before: holdfast, edits: edits) { web throws in
                let refused = try web.get("/push/secret?since=now&access_token=SECRET")
                #expect(refused.status == 403)
                let name = try #require(refused["Holdfast-Request-ID"])
                #expect(try refused.json["request"].string == name)
                switch kind {
                case .nginx: #expect(name.wholeMatch(of: /[0-9a-f]{32}/) != nil)
                case .haproxy, .caddy: #expect(name.wholeMatch(of: /[0-9a-f-]{36}/) != nil)
                case .apache: #expect(name.wholeMatch(of: /[A-Za-z0-9@_-]{20,32}/) != nil)
                default: #expect(name.wholeMatch(of: /[0-9a-f]{8}-[0-9]+/) != nil)
                }
                let log = holdfast.log
                #expect(log.contains("request method=GET path=/push/secret request=\(name)\n"))
                #expect(log.contains("request answered request=\(name) status=403\n"))
                #expect(!log.contains("SECRET"))
                // An answer that is not a problem has no name; otherwise waiting clients could not share it.
                let held = try WaitingClient(.http1, "/push/news?wait=25&since=now", through: web)
                try holdfast.waitForHeld(1)
                #expect(try web.post("/push/news", "x").status == 201)
                let answer = try held.answer()
                #expect(answer.status == 200 && answer["Holdfast-Request-ID"] == nil)
                try waitUntil("its end is logged") {
                    let log = holdfast.log
                    guard
                        let one = log.firstMatch(of: /request held request=(\S+)\n/)?.output.1
                    else { return false }
                    return log.contains("request ended reason=released request=\(one)\n")
                }
            }
        }
    }
}
