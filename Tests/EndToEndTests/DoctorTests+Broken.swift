import Harness
import Testing

/// What it finds wrong, and what only looks so.
extension DoctorTests {
    // MARK: Broken

    @Test func `nginx that ignores departures`() throws {
        let edits = [
            ("fastcgi_keep_conn on;", "fastcgi_keep_conn on;\nfastcgi_ignore_client_abort on;")
        ]
        try Front.nginx.with(Self.long, edits: edits) { web, holdfast in
            let outcome = try examine(holdfast, port: web.port, patience: 2)
            #expect(outcome.exit == .exited(1))
            #expect(outcome.verdicts("departures") == ["problem"])
            #expect(outcome.advice("departures").contains("fastcgi_ignore_client_abort off;"))
            #expect(outcome.problems.map { $0.prefix(10) } == ["departures"], "\(outcome.problems)")
        }
    }

    @Test func `lighttpd that does not pass departures on`() throws {
        let edits = [("\"tcp-fin-propagate\" => \"enable\",", "")]
        try Front.lighttpd.with(Self.long, edits: edits) { web, holdfast in
            web.expectsFailures = true
            let outcome = try examine(holdfast, port: web.port, patience: 2)
            #expect(outcome.exit == .exited(1))
            // HTTP/2 shows them nevertheless.
            #expect(outcome.verdicts("departures") == ["problem", "ok"])
            #expect(outcome.advice("departures").contains("\"tcp-fin-propagate\" => \"enable\""))
        }
    }

    @Test func `nginx that compresses and keeps answers back`() throws {
        let edits = [
            (
                "fastcgi_buffering off;",
                """
                fastcgi_buffering on;
                fastcgi_ignore_headers X-Accel-Buffering;
                gzip on;
                gzip_types application/json;
                """
            )
        ]
        // On kept connections nginx passes small records on all the same.
        try Front.nginxUnkept.with(Self.long + "probe = always\n", edits: edits) { web, holdfast in
            let outcome = try examine(holdfast, port: web.port, patience: 2)
            #expect(outcome.exit == .exited(1))
            #expect(outcome.verdicts("buffering") == ["problem"])
            #expect(outcome.advice("buffering").contains("fastcgi_buffering off;"))
            #expect(outcome.verdicts("compression") == ["problem"])
            #expect(outcome.advice("compression").contains("gzip off;"))
        }
    }

    @Test func `nginx that takes short URLs only and cuts holds`() throws {
        let edits = [
            ("large_client_header_buffers 4 8k;", "large_client_header_buffers 4 3k;"),
            ("fastcgi_read_timeout 75s;", "fastcgi_read_timeout 1s;"),
        ]
        try Front.nginx.with(Self.long, edits: edits) { web, holdfast in
            web.expectsFailures = true
            let outcome = try examine(holdfast, port: web.port)
            #expect(outcome.exit == .exited(1))
            #expect(outcome.verdicts("URL length") == ["problem"])
            #expect(outcome.advice("URL length").contains("large_client_header_buffers 4 8k;"))
            #expect(outcome.verdicts("hold time") == ["problem"])
            #expect(outcome.advice("hold time").contains("fastcgi_read_timeout 75s;"))
        }
    }

    @Test func `nginx that opens the operator's pages to all, or to clients that claim to be one`()
        throws
    {
        func options(_ value: String) -> [String] {
            ["--parameters", "fastcgi_param HOLDFAST_OPERATOR \(value) if_not_empty;"]
        }
        try HoldfastServer.with(Self.quick) { holdfast in
            try WebServer.with(.nginx, before: holdfast, options: options("1")) { web in
                let outcome = try examine(holdfast, port: web.port)
                #expect(outcome.verdicts("operator pages") == ["problem"])
                #expect(outcome.advice("operator pages").contains("HOLDFAST_OPERATOR"))
            }
            for source in ["$arg_HOLDFAST_OPERATOR", "$http_holdfast_operator"] {
                try WebServer.with(.nginx, before: holdfast, options: options(source)) { web in
                    let outcome = try examine(holdfast, port: web.port)
                    #expect(outcome.verdicts("operator pages") == ["ok"])
                    #expect(outcome.verdicts("parameters") == ["problem"])
                }
            }
        }
    }

    @Test func `a channel that asks for a token was not taken for closed`() throws {
        let settings = """
            [key web]
            secret = 0123456789abcdef0123456789abcdef
            [allow **]
            read = key:web

            """
        let options = [
            "--parameters", "fastcgi_param HOLDFAST_READ $http_holdfast_read if_not_empty;",
        ]
        try Front.nginx.with(settings, options: options) { web, holdfast in
            let outcome = try examine(holdfast, port: web.port)
            #expect(outcome.verdicts("parameters") == ["problem"])
            let said = outcome.findings("delivery").first?["sentence"].string ?? ""
            #expect(said.contains("doctor-examines answers 401 (credentials_required); name one"))
            let shown = try examine(
                holdfast,
                port: web.port,
                ["--channel", "user/1", "--header", "Authorization: Bearer x"]
            )
            let why = shown.findings("hold time").first?["sentence"].string ?? ""
            #expect(
                why.contains("user/1 answers 401 (token_malformed); what --header shows does not")
            )
        }
    }

    // MARK: Proxies

    @Test func `a proxy that hides departures must change, not the nginx behind it`() throws {
        try Front.nginx.with(Self.long + "probe = off\n") { inner, holdfast in
            try WebServer.with(.nginxRouting, before: inner) { web in
                let outcome = try examine(holdfast, port: web.port, patience: 2)
                #expect(outcome.verdicts("departures") == ["problem"])
                let advice = outcome.advice("departures")
                #expect(advice.contains("nginx: proxy_ignore_client_abort off;"))
                #expect(advice.contains("HAProxy: option abortonclose"))
                #expect(advice.contains("fastcgi_param HOLDFAST_PROBE on;"))
                #expect(!advice.contains("fastcgi_ignore_client_abort"))
                let servers = outcome.findings("servers").first?["sentence"].string ?? ""
                #expect(servers.contains("nginx, with a proxy in front of it"))
            }
        }
    }

    @Test func `a location probed at the web server's request is ok behind a proxy`() throws {
        let param = "fastcgi_param REQUEST_METHOD $request_method;"
        let edits = [(param, "\(param)\nfastcgi_param HOLDFAST_PROBE on;\n")]
        try Front.nginx.with(Self.long + "probe_interval = 1s\nprobe = off\n", edits: edits) {
            inner,
            holdfast in
            try WebServer.with(.nginxRouting, before: inner) { web in
                let outcome = try examine(holdfast, port: web.port, patience: 8)
                #expect(outcome.problems == [])
                #expect(outcome.verdicts("departures") == ["ok"])
            }
        }
    }

    // MARK: False alarms

    @Test func `pages that nginx compresses and a page to log in are no problem`() throws {
        let edits = [
            (
                "fastcgi_keep_conn on;",
                """
                fastcgi_keep_conn on;
                gzip on;
                location ~ ^/push/-/(status|metrics|channels)$ {
                    default_type text/html;
                    return 200 "log in";
                }
                """
            )
        ]
        try Front.nginx.with(Self.quick, edits: edits) { web, holdfast in
            let outcome = try examine(holdfast, port: web.port)
            #expect(outcome.problems == [])
            #expect(outcome.verdicts("compression") == ["ok"])
            #expect(outcome.verdicts("operator pages") == ["ok"])
        }
    }

    @Test func `a lost Accept is diagnosed`() throws {
        let options = ["--parameters", "fastcgi_param HTTP_ACCEPT */*;"]
        try Front.nginx.with(Self.quick, options: options) { web, holdfast in
            let outcome = try examine(holdfast, port: web.port)
            #expect(outcome.problems.map { $0.prefix(7) } == ["streams"], "\(outcome.problems)")
            #expect(outcome.advice("streams").contains("?stream=sse"))
            #expect(outcome.verdicts("buffering") == ["ok"])
        }
    }

    @Test(
        .enabled(if: Tool.usable(.haproxy, .curl), "haproxy is not installed")
    )
    func `events that come late behind HAProxy`() throws {
        try HoldfastServer.with(Self.quick) { holdfast in
            try WebServer.with(
                .haproxy,
                before: holdfast,
                edits: [("option http-no-delay", "")]
            ) { web in
                let outcome = try examine(holdfast, port: web.port)
                #expect(outcome.verdicts("buffering") == ["problem"])
                #expect(outcome.advice("buffering").contains("option http-no-delay"))
            }
        }
    }
}
