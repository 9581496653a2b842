import Harness
import Testing

/// The identity of clients, and what else real web servers make of their requests, named after what went wrong.
@Suite(.enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"))
struct IdentityTests {
    private static let settings = HoldfastServer.open + "[presence **]\n"
    /// root, with a password that is not checked.
    private let claim = ["Authorization": "Basic cm9vdDp3cm9uZw=="]

    /// The members of a separate channel while a request with these fields is held there.
    ///
    /// A member is reported once the log has the join, a moment after the request is held. So a second member joins: when
    /// it is present, so is the first.
    private func present(
        _ web: WebServer,
        _ fields: [String: String],
        base: String = "/push",
        channel: String = "chat",
        _ server: HoldfastServer
    ) throws -> [String] {
        let before = try server.metrics()["holdfast_holds_total"]
        let client = try HTTPClient(port: web.port)
        try client.send("GET", "\(base)/\(channel)?wait=25", fields)
        try waitUntil("it is held") { try server.metrics()["holdfast_holds_total"] > before }
        let last = try server.hold("/push/\(channel)?wait=25&name=last")
        var members: [String] = []
        try waitUntil("the last one is there, of \(members)") {
            members = try server.members(channel).map {
                "\($0["name"].string ?? "") \($0["verified"] == true)"
            }
            return members.contains("last false")
        }
        withExtendedLifetime((client, last)) {}
        return members.filter { $0 != "last false" }
    }

    @Test(
        .enabled(if: Tool.usable(.nginx, .haproxy), "nginx or HAProxy is not installed"),
        arguments: [WebServer.Kind.nginx, .haproxy]
    )
    func `root with any password was shown as root, verified`(kind: WebServer.Kind) throws {
        // As Debian's fastcgi_params has it; HAProxy passes it by itself.
        let options =
            kind == .nginx ? ["--parameters", "fastcgi_param REMOTE_USER $remote_user;"] : []
        try HoldfastServer.with(Self.settings) { server throws in
            try WebServer.with(kind, before: server, options: options) { web throws in
                #expect(try present(web, claim, server) == [])
            }
        }
        try HoldfastServer.with(Self.settings, fastcgi: ["remote_user = believed"]) {
            server throws in
            try WebServer.with(kind, before: server, options: options) { web throws in
                // What the manual warns of.
                #expect(try present(web, claim, server) == ["root true"])
            }
        }
    }

    @Test func `nginx's recipe names the verified user by HOLDFAST_USER`() throws {
        let closed = "[presence **]\n[cors]\norigins = *\n"
        try HoldfastServer.with(closed) { server throws in
            let port = try Ports.free()
            try server.directory.write("admin:{PLAIN}secret\n", to: "passwords")
            let recipe = try Recipe.text(
                "nginx-basic",
                ["--port", "\(port)", "--passwords", server.directory.file("passwords")],
                before: server
            )
            try WebServer.with(.nginx, before: server, addition: recipe) { web throws in
                web.expectsFailures = true
                let admin = ["Authorization": "Basic YWRtaW46c2VjcmV0"]
                let client = try HTTPClient(port: port)
                try client.send("GET", "/push/chat?wait=25", admin)
                try waitUntil("admin is there") {
                    let list = try HTTPClient.exchange(
                        "GET",
                        "/push/-/presence/chat",
                        admin,
                        port: port
                    )
                    return try list.json["members"][0]["name"] == "admin"
                }
                // A form of any site, which takes the password along.
                for (origin, status) in [
                    ("https://evil.test", 403), ("http://127.0.0.1:\(port)", 201),
                ] {
                    let fields = ["Origin": origin, "Content-Type": "text/plain"]
                    let answer = try HTTPClient.exchange(
                        "POST",
                        "/push/chat",
                        fields.merging(admin) { $1 },
                        body: "x",
                        port: port
                    )
                    #expect(answer.status == status)
                }
            }
        }
    }

    @Test func `lighttpd's REMOTE_USER is believed where the ini file says so`() throws {
        for (believed, shown) in [(false, []), (true, ["admin true"])] {
            let lines = believed ? ["remote_user = believed"] : []
            try HoldfastServer.with(Self.settings, fastcgi: lines) { server throws in
                let hash = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
                let file = try server.directory.write("admin:\(hash)\n", to: "passwords")
                let recipe = try Recipe.text(
                    "lighttpd-basic",
                    ["--passwords", file],
                    before: server
                )
                try WebServer.with(.lighttpd, before: server, addition: recipe) { web throws in
                    web.expectsFailures = true
                    let admin = ["Authorization": "Basic YWRtaW46c2VjcmV0"]
                    #expect(try present(web, admin, base: "/admins", server) == shown)
                    #expect(try present(web, claim, channel: "other", server) == [])
                }
            }
        }
    }

    @Test(
        .enabled(if: Tool.usable(.nginx, .haproxy), "nginx or HAProxy is not installed"),
        arguments: [WebServer.Kind.nginx, .haproxy]
    )
    func `of a field in several lines the last one counted`(kind: WebServer.Kind) throws {
        let settings =
            HoldfastServer.open
            + "[endpoint /push/sub]\naction = subscribe\nchannels = news\ncursor = cookie\n"
        try HoldfastServer.with(settings) { server throws in
            try server.publish("news", "1")
            try WebServer.with(kind, before: server) { web throws in
                // Names in two spellings are two lines of one field.
                let prefer = ["PREFER": "wait=1", "Prefer": "respond-async"]
                let waited = try web.get("/push/news", prefer)
                #expect(waited["Preference-Applied"] == "wait=1")
                let accept = ["ACCEPT": "application/json", "Accept": "text/event-stream"]
                let answer = try web.get("/push/news", accept)
                #expect(answer["Content-Type"] == "application/json; charset=utf-8")

                let first = try web.get("/push/news?since=first")
                let tag = try #require(first["ETag"])
                let tags = ["IF-NONE-MATCH": tag, "If-None-Match": "\"other\""]
                // nginx itself refuses two of these.
                let status = try web.get("/push/news?since=first", tags).status
                #expect(status == (kind == .nginx ? 400 : 304))

                let polled = try web.get("/push/sub")
                let cookie = try #require(polled["Set-Cookie"]).prefix { $0 != ";" }
                try server.publish("news", "2")
                let crumbs = ["COOKIE": String(cookie), "Cookie": "other=1"]
                let next = try web.get("/push/sub?wait=1", crumbs)
                #expect(try next.json["messages"].array.map { $0["data"] } == ["2"])
            }
        }
    }

    @Test(.enabled(if: Tool.usable(.caddy), "Caddy is not installed"))
    func `behind Caddy bytes without a type became a form`() throws {
        try HoldfastServer.with { server throws in
            try WebServer.with(.caddy, before: server) { web throws in
                func type(_ fields: [String: String], _ body: String) throws -> String? {
                    let sent = try HTTPClient.exchange(
                        "POST",
                        "/push/a",
                        fields,
                        body: body,
                        port: web.port
                    )
                    #expect(sent.status == 201)
                    let id = try #require(try sent.json["id"].string)
                    return try web.get("/push/-/messages/\(id)?format=bare")["Content-Type"]
                }
                let form = ["Content-Type": "application/x-www-form-urlencoded"]
                let chunked = ["Transfer-Encoding": "chunked"]
                #expect(try type([:], "a=b") == "text/plain; charset=utf-8")
                #expect(try type(chunked, "3\r\na=b\r\n0\r\n\r\n") == "text/plain; charset=utf-8")
                #expect(try type(form, "a=b") == "application/json; charset=utf-8")
                #expect(
                    try type(form.merging(chunked) { $1 }, "3\r\na=b\r\n0\r\n\r\n")
                        == "application/json; charset=utf-8"
                )
                #expect(try type(["Content-Type": "image/png"], "a=b") == "image/png")
            }
        }
    }

    @Test(
        .enabled(if: Tool.usable(.nginx, .lighttpd, .haproxy, .apache), "a web server is missing"),
        arguments: [WebServer.Kind.nginx, .lighttpd, .haproxy, .apache]
    )
    func `a form stays a form behind servers that never pass HTTP_CONTENT_TYPE`(
        kind: WebServer.Kind
    ) throws {
        try HoldfastServer.with { server throws in
            try WebServer.with(kind, before: server) { web throws in
                let form = ["Content-Type": "application/x-www-form-urlencoded"]
                #expect(try web.post("/push/a", "a=b", form).status == 201)
                #expect(try web.post("/push/a", "build finished", form).status == 201)
                let messages = try web.get("/push/a?since=first").json["messages"]
                #expect(messages[0]["data"]["a"] == "b")
                #expect(messages[1]["data"] == "build finished")
            }
        }
    }

    @Test func `a refusal was silent about the section that decided`() throws {
        let rules = "[allow **]\nread = everyone\n[allow secret/**]\nread = nobody\n"
        try HoldfastServer.with(rules) { server throws in
            #expect(try server.get("/push/other").status == 200)
            let refused = try server.get("/push/secret/a")
            #expect(refused.status == 403)
            #expect(refused.text.contains("[allow secret/**] says read = nobody"))
            let lines = Files.text(server.iniFile).split(separator: "\n")
            let line = try #require(lines.firstIndex(of: "[allow secret/**]")) + 1
            try waitUntil("the log names the line") {
                server.log.contains("\(server.iniFile):\(line)")
            }
        }
    }
}
