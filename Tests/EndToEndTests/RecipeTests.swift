import Harness
import Testing

/// Copies of the recipes of conf/recipes.
enum Recipe {
    /// - Parameter options: of scripts/derive.
    static func text(
        _ name: String,
        _ options: [String],
        before holdfast: HoldfastServer
    ) throws -> String {
        try Derived.text(
            "recipes/\(name).conf",
            ["--directory", holdfast.directory.path, "--socket", holdfast.address.description]
                + options,
            in: holdfast.directory
        )
    }
}

/// The recipes of conf/recipes, included where they say.
@Suite(.enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"))
struct RecipeTests {
    /// Nothing is open without the web server's word.
    private let closed = "[log]\nlevel = info\n"

    private func user(_ name: String) -> [String: String] {
        ["Authorization": name == "admin" ? "Basic YWRtaW46c2VjcmV0" : "Basic ZWRpdG9yOnNlY3JldA=="]
    }

    /// Everybody's password is "secret".
    private func passwords(_ directory: TestDirectory) throws -> String {
        let hash = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
        return try directory.write("editor:\(hash)\nadmin:\(hash)\n", to: "passwords")
    }

    @Test func `basic authentication by nginx`() throws {
        try HoldfastServer.with(closed) { holdfast in
            let port = try Ports.free()
            let recipe = try Recipe.text(
                "nginx-basic",
                ["--port", "\(port)", "--passwords", passwords(holdfast.directory)],
                before: holdfast
            )
            try WebServer.with(.nginx, before: holdfast, addition: recipe) { web throws in
                // Wrong passwords are in its error log.
                web.expectsFailures = true
                let status = statuses(port)
                #expect(try status("GET", "/push/news/a", [:]) == 401)
                #expect(try status("GET", "/push/news/a", user("editor")) == 200)
                #expect(try status("GET", "/push/secret", user("editor")) == 403)
                #expect(try status("POST", "/push/news/a", user("editor")) == 201)
                #expect(try status("POST", "/push/chat", user("editor")) == 403)
                #expect(try status("GET", "/push/-/status", user("editor")) == 403)
                #expect(try status("POST", "/push/chat", user("admin")) == 201)
                #expect(try status("GET", "/push/-/status", user("admin")) == 200)
                let forged = user("editor").merging(["Holdfast-Operator": "1"]) { $1 }
                #expect(try status("GET", "/push/-/status", forged) == 403)
                // The other server is as closed as before.
                #expect(try web.get("/push/news/a", user("admin")).status == 403)
            }
        }
    }

    @Test func `a program behind nginx decides`() throws {
        try HoldfastServer.with(closed) { holdfast in
            let (port, program) = try (Ports.free(), Ports.free())
            // Stands in for the site's own program.
            let standIn = """
                server {
                    listen 127.0.0.1:\(program);
                    location / {
                        if ($http_cookie = "login=ann") {
                            add_header Holdfast-Read "news/**";
                            add_header Holdfast-Write "news/ann";
                            add_header Holdfast-User ann;
                            return 200;
                        }
                        return 401;
                    }
                }

                """
            let recipe = try Recipe.text(
                "nginx-auth-request",
                ["--port", "\(port)", "--program-http", "127.0.0.1:\(program)"],
                before: holdfast
            )
            try WebServer.with(.nginx, before: holdfast, addition: recipe + standIn) { _ throws in
                let ann = ["Cookie": "login=ann"]
                let status = statuses(port)
                #expect(try status("GET", "/push/news/a", [:]) == 401)
                #expect(try status("GET", "/push/news/a", ann) == 200)
                #expect(try status("GET", "/push/chat", ann) == 403)
                #expect(try status("POST", "/push/news/ann", ann) == 201)
                #expect(try status("POST", "/push/news/bob", ann) == 403)
                #expect(try status("GET", "/push/-/metrics", ann) == 403)
                let forged = ["Cookie": "login=bob", "Holdfast-Read": "**"]
                #expect(try status("GET", "/push/news/a", forged) == 401)
            }
        }
    }

    @Test
    func
        `thirty clients that poll one public channel are one request to Holdfast, and none misses a message`()
        throws
    {
        let rules = "[allow public/**]\nread = everyone\npublish = everyone\n"
        try HoldfastServer.with(rules) { holdfast in
            let port = try Ports.free()
            let recipe = try Recipe.text(
                "nginx-collapse",
                ["--port", "\(port)"],
                before: holdfast
            )
            try WebServer.with(.nginx, before: holdfast, addition: recipe) { web throws in
                func get(_ target: String) throws -> HTTPAnswer {
                    try HTTPClient.exchange("GET", target, [:], port: port)
                }
                #expect(try get("/public/secret").status == 403)
                #expect(
                    try HTTPClient.exchange("POST", "/public/public/a", [:], body: "x", port: port)
                        .status == 403
                )
                // What is refused below is in its error log.
                web.expectsFailures = true
                func cursor(_ answer: HTTPAnswer) throws -> String {
                    try #require(try answer.json["cursor"].string)
                }
                // No part of the path becomes a query.
                #expect(try get("/public/public/a%3Fstream=sse%26x=1").status == 400)
                var position = try cursor(get("/public/public/a"))
                for text in ["one", "two"] {
                    let before = try holdfast.metrics()["holdfast_holds_total"]
                    let clients = try (0..<30).map { number in
                        let client = try HTTPClient(port: port)
                        let own = "subscriber=0123456789abcdef\(number)&name=n\(number)"
                        let target = "/public/public/a?since=\(position)&\(own)&wait=25"
                        try client.send("GET", target)
                        return client
                    }
                    try holdfast.waitForHeld(1)
                    // A client that leaves does not take the others' answer away, even if it was the first.
                    clients[0].socket.close()
                    try holdfast.publish("public/a", text)
                    let answers = try clients.dropFirst().map { try $0.answer() }
                    position = try cursor(answers[0])
                    for answer in answers {
                        #expect(answer.status == 200 && answer["Cache-Control"] == "no-store")
                        let messages = try answer.json["messages"].array
                        #expect(messages.map { $0["data"] } == [.string(text)])
                        #expect(try cursor(answer) == position)
                    }
                    #expect(try holdfast.metrics()["holdfast_holds_total"] - before == 1)
                }
            }
        }
    }

    @Test func `basic authentication by lighttpd`() throws {
        try HoldfastServer.with(closed) { holdfast in
            let recipe = try Recipe.text(
                "lighttpd-basic",
                ["--passwords", passwords(holdfast.directory)],
                before: holdfast
            )
            try WebServer.with(.lighttpd, before: holdfast, addition: recipe) { web throws in
                web.expectsFailures = true
                #expect(try web.get("/readers/news/a").status == 401)
                #expect(try web.get("/readers/news/a", user("editor")).status == 200)
                #expect(try web.get("/readers/secret", user("editor")).status == 403)
                #expect(try web.post("/readers/news/a", "x", user("editor")).status == 403)
                #expect(try web.post("/editors/news/a", "x", user("editor")).status == 201)
                #expect(try web.get("/admins/-/status", user("editor")).status == 401)
                #expect(try web.get("/admins/-/status", user("admin")).status == 200)
                #expect(try web.get("/push/news/a", user("admin")).status == 403)
            }
        }
    }

    @Test func `a stream that needs a password was answered 200 without one`() throws {
        try HoldfastServer.with(closed) { holdfast in
            let recipe = try Recipe.text(
                "lighttpd-basic",
                ["--passwords", passwords(holdfast.directory)],
                before: holdfast
            )
            try WebServer.with(.lighttpd, before: holdfast, addition: recipe) { web throws in
                web.expectsFailures = true
                let streams = ["Accept": "text/event-stream"]
                let known = user("editor").merging(streams) { $1 }
                let refused = try web.get("/readers/news/a", streams)
                #expect(refused.status == 401)
                #expect(refused["WWW-Authenticate"]?.contains("Basic") == true)
                #expect(refused["Content-Type"] == "application/problem+json")
                #expect(try refused.json["status"] == 401)
                #expect(try web.get("/readers/secret", known).status == 403)
                try holdfast.stop()
                #expect(try web.get("/readers/news/a", streams).status == 401)
                let away = try web.get("/readers/news/a", known)
                #expect(away.status == 200)
                #expect(away["Content-Type"] == "text/event-stream")
            }
        }
    }

    // MARK: Preflights

    @Test(arguments: ["nginx-basic", "nginx-auth-request", "lighttpd-basic"])
    func `a preflight, which never has credentials, was asked for a password`(recipe: String) throws
    {
        let origin = "https://www.example.org"
        try HoldfastServer.with(closed + "[cors]\norigins = \(origin)\n") { holdfast in
            let file = try passwords(holdfast.directory)
            var (port, program) = try (Ports.free(), Ports.free())
            let kind = recipe.hasPrefix("nginx") ? WebServer.Kind.nginx : .lighttpd
            let lines = try Recipe.text(
                recipe,
                [
                    "--port", "\(port)", "--passwords", file, "--program-http",
                    "127.0.0.1:\(program)",
                ],
                before: holdfast
            )
            let standIn =
                recipe == "nginx-auth-request"
                ? "server { listen 127.0.0.1:\(program); location / { return 401; } }\n" : ""
            try WebServer.with(kind, before: holdfast, addition: lines + standIn) { web throws in
                web.expectsFailures = true
                if kind == .lighttpd { port = web.port }
                let target = kind == .nginx ? "/push/news/a" : "/editors/news/a"
                let fields = ["Origin": origin, "Access-Control-Request-Method": "POST"]
                let preflight = try HTTPClient.exchange("OPTIONS", target, fields, port: port)
                #expect(preflight.status == 204)
                #expect(preflight["Access-Control-Allow-Origin"] == origin)
                #expect(preflight["Access-Control-Allow-Methods"]?.contains("POST") == true)
                for method in ["GET", "POST"] {
                    let answer = try HTTPClient.exchange(
                        method,
                        target,
                        ["Origin": origin],
                        body: method == "POST" ? "x" : nil,
                        port: port
                    )
                    #expect(answer.status == 401)
                }
            }
        }
    }
}

/// How a server on this port answers a method, target and header fields; what is posted is an `x`.
private func statuses(_ port: UInt16) -> (String, String, [String: String]) throws -> Int {
    { method, target, fields in
        try HTTPClient.exchange(
            method,
            target,
            fields,
            body: method == "POST" ? "x" : nil,
            port: port
        ).status
    }
}
