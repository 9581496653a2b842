import Harness
import Testing

/// Rights: closed by default, and only the web server grants them.
@Suite struct AuthorizationTests {
    /// Nothing is open.
    private let closed = "[log]\nlevel = info\n"

    @Test func `everything is closed until it is opened`() throws {
        try HoldfastServer.with(closed) { server throws in
            let read = try server.get("/push/news?wait=5")
            #expect(read.status == 403)
            #expect(read["Content-Type"] == "application/problem+json")
            #expect(try read.json["code"] == "read_forbidden")
            let published = try server.post("/push/news", "x")
            #expect(published.status == 403)
            #expect(try published.json["code"] == "publish_forbidden")
            #expect(try server.get("/push/-/metrics").status == 403)
            #expect(try server.get("/push/-/status").status == 403)
            #expect(try server.get("/push/-/live").status == 200)
            #expect(try server.get("/push/-/ready").status == 200)
        }
    }

    @Test func `the web server's parameters open channels, one action at a time`() throws {
        try HoldfastServer.with(closed) { server throws in
            let read = [("HOLDFAST_READ", "news/*, other")]
            let write = [("HOLDFAST_WRITE", "news/**")]
            #expect(try server.get("/push/news/a", params: read).status == 200)
            #expect(try server.get("/push/other", params: read).status == 200)
            #expect(try server.get("/push/news", params: read).status == 403)
            #expect(try server.get("/push/news/a,secret", params: read).status == 403)
            #expect(try server.get("/push/news/a", params: write).status == 403)
            #expect(try server.post("/push/news/a", "x", params: write).status == 201)
            #expect(try server.post("/push/news/a", "x", params: read).status == 403)
            let metrics = [("HOLDFAST_OPERATOR", "1")]
            #expect(try server.get("/push/-/metrics", params: metrics).status == 200)
            #expect(try server.get("/push/-/status", params: metrics).json["held"] == 0)
        }
    }

    @Test func `the ini file opens patterns to everyone`() throws {
        let rules = """
            [allow news/secret]
            read = nobody
            [allow news/**]
            read = everyone

            """
        try HoldfastServer.with(rules) { server throws in
            #expect(try server.get("/push/news/a").status == 200)
            #expect(try server.get("/push/news/secret").status == 403)
            #expect(try server.get("/push/news%2Fsecret").status == 403)
            #expect(try server.get("/push/news/a,news/secret").status == 403)
            #expect(try server.post("/push/news/a", "x").status == 403)
        }
    }

    @Test func `the parameters of a client's header fields change nothing`() throws {
        try HoldfastServer.with(closed) { server throws in
            let fields = [
                "Holdfast-Read": "**", "Holdfast-Write": "**", "Holdfast-Operator": "1",
                "Holdfast-Base": "/",
            ]
            #expect(try server.get("/push/news", fields).status == 403)
            #expect(try server.post("/push/news", "x", fields: fields).status == 403)
            #expect(try server.get("/push/-/metrics", fields).status == 403)
        }
    }

    @Test(
        .enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"),
        arguments: WebServer.Kind.usual
    )
    func `no header of a client gets through as a right`(kind: WebServer.Kind) throws {
        try HoldfastServer.with(closed) { holdfast in
            try WebServer.with(kind, before: holdfast) { web throws in
                for form in ["Holdfast-%", "HOLDFAST-%", "Holdfast_%", "HOLDFAST_%"] {
                    var fields: [String: String] = [:]
                    for right in ["Read", "Write", "Operator"] {
                        let name = form.replacing("%", with: right)
                        fields[form.contains("HOLD") ? name.uppercased() : name] = "**"
                    }
                    #expect(try web.get("/push/news", fields).status == 403)
                    #expect(try web.post("/push/news", "x", fields).status == 403)
                    #expect(try web.get("/push/-/metrics", fields).status == 403)
                }
            }
        }
    }

    @Test func `most refusals never reached the log`() throws {
        let settings = "[allow news/**]\nread = everyone\n[allow news/secret]\nread = nobody\n"
        try HoldfastServer.with(settings) { server throws in
            for channel in ["s1", "s2", "news/secret", "s3"] {
                #expect(try server.get("/push/\(channel)").status == 403)
            }
            #expect(try server.post("/push/s1", "x").status == 403)
            // The first of each section and right at once; the rest is counted.
            let told = server.log.matches(of: /refused: (\w+ of [a-z0-9\/]+)/).map { String($0.1) }
            #expect(told == ["read of s1", "read of news/secret", "publish of s1"])
        }
    }

    @Test(.enabled(if: Tool.usable(.nginx), "nginx is not installed"))
    func `nginx grants what its basic authentication lets through`() throws {
        try HoldfastServer.with(closed) { holdfast in
            // {PLAIN}, so that the test needs no htpasswd.
            try holdfast.directory.write("ann:{PLAIN}secret\n", to: "passwords")
            let location = """
                location /push/ {
                            auth_basic "chat";
                            auth_basic_user_file \(holdfast.directory.file("passwords"));
                            fastcgi_param REQUEST_METHOD $request_method;
                            fastcgi_param REQUEST_URI $request_uri;
                            fastcgi_param CONTENT_TYPE $content_type if_not_empty;
                            fastcgi_param CONTENT_LENGTH $content_length if_not_empty;
                            fastcgi_param REMOTE_USER $remote_user;
                            fastcgi_param HOLDFAST_READ "news/**";
                            fastcgi_param HOLDFAST_WRITE "news/$remote_user";
                """
            let edits = [("location /push/ {", location)]
            try WebServer.with(.nginx, before: holdfast, edits: edits) { web throws in
                web.expectsFailures = true
                let ann = ["Authorization": "Basic YW5uOnNlY3JldA=="]
                #expect(try web.get("/push/news/ann").status == 401)
                #expect(try web.get("/push/news/ann", ann).status == 200)
                #expect(try web.get("/push/other", ann).status == 403)
                #expect(try web.post("/push/news/ann", "x", ann).status == 201)
                #expect(try web.post("/push/news/bob", "x", ann).status == 403)
            }
        }
    }
}
