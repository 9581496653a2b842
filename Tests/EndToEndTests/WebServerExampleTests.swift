import Harness
import Testing

/// The lines that the documentation gives for web servers, in the place that it names.
@Suite(.enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"))
struct WebServerExampleTests {
    /// The lines below a heading.
    private func blocks(_ heading: String, in file: String = "conf/doc/web-servers.md") -> [String]
    {
        Documentation.examples(in: file).filter {
            $0.heading == heading && !$0.kind.hasPrefix("sh") && $0.kind != "ini"
        }.map(\.text)
    }

    @Test func `every example for a web server is among those that are tried here`() {
        let tried = [
            ("README.md", "Behind nginx", 1), ("conf/doc/web-servers.md", "nginx", 2),
            ("conf/doc/web-servers.md", "lighttpd", 1),
            ("conf/doc/web-servers.md", "Apache httpd", 1),
            ("conf/doc/web-servers.md", "HAProxy", 1), ("conf/doc/web-servers.md", "Caddy", 1),
            ("conf/doc/authorization.md", "A rule about a path protects nothing", 1),
            (
                "conf/doc/troubleshooting.md",
                "Only some hundred requests are held (768 connections)", 1
            ),
        ]
        for (file, heading, count) in tried {
            #expect(blocks(heading, in: file).count == count, "\(file): \(heading)")
        }
        let kinds = ["nginx", "lighttpd", "apache", "haproxy", "caddy"]
        let all = Documentation.examples.filter { kinds.contains($0.kind) }
        #expect(all.count == tried.map(\.2).reduce(0, +))
    }

    /// nginx as Debian has it, but for what these add.
    private func nginx(_ top: String, _ http: String, _ server: String) -> String {
        """
        user www-data;
        pid /run/nginx.pid;
        error_log /var/log/nginx/error.log;
        \(top)
        http {
            access_log off;
            client_body_temp_path /var/lib/nginx/body;
            fastcgi_temp_path /var/lib/nginx/fastcgi;
            proxy_temp_path /var/lib/nginx/proxy;
            scgi_temp_path /var/lib/nginx/scgi;
            uwsgi_temp_path /var/lib/nginx/uwsgi;
            \(http)
            server {
                listen 0.0.0.0:8080;
                listen 0.0.0.0:8081;
                listen 0.0.0.0:8082 http2;
                root /usr/share/holdfast/www;
                \(server)
            }
        }

        """
    }

    /// What nginx as Debian has it needs to hold more.
    private func room() throws -> String {
        try #require(
            blocks(
                "Only some hundred requests are held (768 connections)",
                in: "conf/doc/troubleshooting.md"
            ).first
        )
    }

    @Test func `lines for nginx lacked addresses, the operator and the away answers`()
        throws
    {
        let blocks = blocks("nginx")
        let room = try self.room()
        try #require(blocks.count == 2)
        let rest = nginx(room, blocks[0], blocks[1])
        let settings = HoldfastServer.open + "[limits]\nheld_per_address = 1\n"
        try HoldfastServer.with(settings) { holdfast in
            let passwords = try holdfast.directory.write(
                "admin:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n",
                to: "passwords"
            )
            let options = ["--passwords", passwords]
            try WebServer.with(.nginx, before: holdfast, options: options, text: rest) {
                web throws in
                try expectToWork(web, holdfast)
                // The second takes the first one's place.
                let clients = try (1...2).map { _ in try HTTPClient(port: web.port) }
                try clients[0].send("GET", "/push/news?wait=25")
                try holdfast.waitForHeld(1)
                try clients[1].send("GET", "/push/news?wait=25")
                #expect(try clients[0].answer().json["messages"] == [])
                #expect(try holdfast.metrics().held == 1)

                let admin = ["Authorization": "Basic YWRtaW46c2VjcmV0"]
                #expect(try web.get("/push/-/status").status == 401)
                #expect(try web.get("/push/-/status", admin).status == 200)
                #expect(try web.get("/push/-/channels/news", admin).status == 200)
                // Elsewhere no client is the operator.
                #expect(try web.get("/push/x/%2e%2e/-/status").status == 401)
                try expectAwayAnswers(web, holdfast)
            }
        }
    }

    @Test func `the package's lines for nginx logged tokens while Holdfast was away`() throws {
        let directory = try TestDirectory()
        let made = try ChildProcess.run(
            "/bin/bash",
            ["\(Place.root)/scripts/package.d/snippets", directory.path],
            directory: directory
        )
        try #require(made.exit == .exited(0), "\(made.error)")
        let snippet = Files.text(directory.file("nginx/holdfast.conf"))
        let log = "access_log /var/log/nginx/access.log combined;\n"
        try HoldfastServer.with(HoldfastServer.open) { holdfast in
            let rest = nginx(try room(), "", log + snippet)
            try WebServer.with(.nginx, before: holdfast, text: rest) { web throws in
                let target = "/push/news?access_token=SECRET"
                #expect(try web.get(target + "&since=first").status == 200)
                web.expectsFailures = true
                try holdfast.stop()
                #expect(try web.get(target).status == 503)
                #expect(try web.get(target, ["Accept": "text/event-stream"]).status == 200)
                _ = try web.get("/last")
                try waitUntil("nginx has logged the last") {
                    web.accessLog.contains("GET /last")
                }
                #expect(!web.accessLog.contains("SECRET"))
            }
        }
    }

    @Test func `the documentation did not say where its lines for lighttpd go`() throws {
        let blocks = blocks("lighttpd")
        try #require(blocks.count == 1)
        // As Debian's own file, which includes what is in conf-enabled.
        let rest = """
            server.modules = ( "mod_indexfile", "mod_access", "mod_alias", "mod_redirect" )
            server.document-root = "/var/www/html"
            server.upload-dirs = ( "/var/cache/lighttpd/uploads" )
            server.errorlog = "/var/log/lighttpd/error.log"
            server.pid-file = "/run/lighttpd.pid"
            server.username = "www-data"
            server.groupname = "www-data"
            server.port = 8080
            server.bind = "0.0.0.0"
            server.http-parseopts = (
              "url-normalize-unreserved" => "enable", "url-normalize-required" => "enable",
              "url-ctrls-reject" => "enable", "url-path-2f-decode" => "enable",
              "url-path-dotseg-remove" => "enable",
            )
            $SERVER["socket"] == "0.0.0.0:8081" { }
            mimetype.assign = ( ".html" => "text/html" )
            \(blocks[0])
            server.modules += ( "mod_dirlisting", "mod_staticfile" )

            """
        try HoldfastServer.with { holdfast in
            try WebServer.with(.lighttpd, before: holdfast, text: rest) { web throws in
                try expectToWork(web, holdfast)
                try expectAwayAnswers(web, holdfast)
            }
        }
    }

    @Test
    func `a rule of the web server about a path protected no channel, and the recipe does`()
        throws
    {
        let block = try #require(
            blocks(
                "A rule about a path protects nothing",
                in: "conf/doc/authorization.md"
            ).first
        )
        let settings = """
            [allow news]
            read = everyone
            [allow open/**]
            read = everyone

            """
        try HoldfastServer.with(settings) { holdfast in
            let passwords = try holdfast.directory.write(
                "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n",
                to: "passwords"
            )
            // Both ways: what the page warns of, and what it gives instead.
            let rule = "location /push/open/ { return 403; }"
            let options = ["--server", "\(rule)\n\(block)", "--passwords", passwords]
            try WebServer.with(.nginx, before: holdfast, options: options) { web throws in
                web.expectsFailures = true
                let operation = [("HOLDFAST_WRITE", "**")]
                let ids = try ["open/a", "private/a"].map {
                    let sent = try holdfast.post("/push/\($0)", "secret", params: operation)
                    return try sent.json["id"].string ?? ""
                }
                let form = ["Content-Type": "application/x-www-form-urlencoded"]
                func answers(_ base: String, _ channel: String, _ id: String) throws -> [Int] {
                    [
                        try web.get("\(base)/\(channel)?since=first").status,
                        try web.get("\(base)/?channel=\(channel)&since=first").status,
                        try web.get("\(base)/news,\(channel)?since=first").status,
                        try web.post("\(base)/?op=read", "channel=\(channel)", form).status,
                        try web.get("\(base)/-/messages/\(id)").status,
                    ]
                }
                #expect(try answers("/push", "open/a", ids[0]) == [403, 200, 200, 200, 200])
                #expect(try answers("/push", "private/a", ids[1]) == [403, 403, 403, 403, 404])
                #expect(try answers("/members", "private/a", ids[1]) == [401, 401, 401, 401, 401])
                let ann = ["Authorization": "Basic YW5uOnNlY3JldA=="]
                let read = try web.get("/members/private/a?since=first", ann)
                #expect(try read.json["messages"][0]["data"] == "secret")
                #expect(try web.get("/members/-/messages/\(ids[1])", ann).status == 200)
                #expect(try web.get("/members/other", ann).status == 403)
                #expect(try web.get("/push/private/a", ann).status == 403)
                // What /push/ has goes for its twin, too.
                try holdfast.stop()
                #expect(try web.get("/members/private/a", ann).json["code"] == "away")
                let stream = ann.merging(["Accept": "text/event-stream"]) { $1 }
                #expect(try web.get("/members/private/a", stream).text == "retry: 2000\n")
            }
        }
    }

    @Test func `README's lines for nginx work`() throws {
        let block = try #require(blocks("Behind nginx", in: "README.md").first)
        let room = "worker_rlimit_nofile 65536;\nevents { worker_connections 32768; }"
        let rest = nginx(room, "", block)
        try HoldfastServer.with { holdfast in
            try WebServer.with(.nginx, before: holdfast, text: rest) { web throws in
                try expectToWork(web, holdfast)
            }
        }
    }

    /// Probes find departed clients soon.
    private static let probing = HoldfastServer.open + "probe_interval = 1s\n"

    @Test(.enabled(if: Tool.usable(.apache), "apache2 is not installed"))
    func `the lines for Apache work`() throws {
        let modules = ["mpm_event", "authz_core", "proxy", "proxy_fcgi", "env"].map {
            "LoadModule \($0)_module /usr/lib/apache2/modules/mod_\($0).so\n"
        }.joined()
        let rest = """
            ServerRoot /etc/apache2
            DefaultRuntimeDir /var/run/apache2
            PidFile /run/apache2.pid
            ErrorLog /var/log/apache2/error.log
            ServerName localhost
            \(modules)
            User www-data
            Group www-data
            Listen 0.0.0.0:8080
            Listen 0.0.0.0:8081
            DocumentRoot /usr/share/holdfast/www
            \(try #require(blocks("Apache httpd").first))

            """
        try HoldfastServer.with(Self.probing) { holdfast in
            try WebServer.with(.apache, before: holdfast, text: rest) { web throws in
                try expectToWork(web, holdfast)
            }
        }
    }

    @Test(.enabled(if: Tool.usable(.haproxy), "haproxy is not installed"))
    func `the lines for HAProxy work`() throws {
        // As the page says of the section "global"; no error files (/usr/share/holdfast/www).
        let rest = """
            # Without /usr/share/holdfast/www.
            global
                user haproxy
                group www-data
                maxconn 16000
                tune.bufsize 65536
                log stdout format raw daemon
            \(try #require(blocks("HAProxy").first))
            frontend web
                bind 0.0.0.0:8080
                bind 0.0.0.0:8081
                timeout client 75s
                use_backend holdfast if { path_beg /push/ }

            """
        try HoldfastServer.with(Self.probing) { holdfast in
            try WebServer.with(.haproxy, before: holdfast, text: rest) { web throws in
                try expectToWork(web, holdfast)
            }
        }
    }

    @Test(.enabled(if: Tool.usable(.caddy), "caddy is not installed"))
    func `the lines for Caddy work`() throws {
        let rest = """
            {
            \tadmin localhost:2019
            }
            http://:8080, http://:8081 {
            \tbind 0.0.0.0
            \(try #require(blocks("Caddy").first))
            }

            """
        try HoldfastServer.with(Self.probing) { holdfast in
            try WebServer.with(.caddy, before: holdfast, text: rest) { web throws in
                try expectToWork(web, holdfast)
            }
        }
    }

    private func expectToWork(_ web: WebServer, _ holdfast: HoldfastServer) throws {
        #expect(try web.post("/push/news", "hello").status == 201)
        #expect(try web.get("/push/news?since=first").json["messages"][0]["data"] == "hello")
        let client = try HTTPClient(port: web.port)
        try client.send("GET", "/push/news?wait=25")
        try holdfast.waitForHeld(1)
        if web.kind == .lighttpd { #expect(try client.head().status == 200) }
        client.socket.close()
        try holdfast.waitForHeld(0)
    }

    private func expectAwayAnswers(_ web: WebServer, _ holdfast: HoldfastServer) throws {
        web.expectsFailures = true
        try holdfast.stop()
        let poll = try web.get("/push/news?wait=25")
        #expect(poll.status == 503)
        #expect(poll["Content-Type"] == "application/problem+json")
        #expect(try poll.json["code"] == "away")
        let stream = try web.get("/push/news", ["Accept": "text/event-stream"])
        #expect(stream.status == 200)
        #expect(stream["Content-Type"] == "text/event-stream")
        #expect(stream.text == "retry: 2000\n")
    }
}
