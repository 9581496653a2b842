import Glibc
import Harness
import Testing

/// conf/examples/php, as people would run it: PHP-FPM behind nginx, and a browser.
@Suite(
    .enabled(
        if: Tool.usable(.chromium, .nginx, .php, .phpFPM),
        "chromium, nginx, php or php-fpm is not installed"
    ),
    .serialized
)
struct PHPExampleTests {
    private let files = "\(Place.root)/conf/examples/php"

    /// - Parameters:
    ///   - options: further ones of scripts/derive for the web server.
    ///   - body: gets the site's address.
    private func with(
        options: [String] = [],
        _ body: (HoldfastServer, _ site: String, _ port: UInt16) throws -> Void
    ) throws {
        let isRoot = Place.isRoot && Place.hasWebGroup
        // A test that does not run as root is Holdfast's own user.
        let keys = try TestDirectory()
        let secret = try keys.write("0123456789abcdef0123456789abcdef\n", to: "php.secret")
        chmod(secret, 0o640)
        if isRoot, let group = getgrnam("www-data") {
            chown(secret, uid_t.max, group.pointee.gr_gid)
        }
        let settings = try Derived.text(
            "examples/php/holdfast.ini",
            ["--secret", secret],
            in: keys
        )
        try HoldfastServer.with(settings, bus: isRoot ? ["socket_group = www-data"] : []) {
            holdfast in
            _ = try holdfast.busClient()
            let directory = holdfast.directory
            let socket = directory.file("fpm.sock")
            try directory.makeDirectory("sessions", mode: 0o777)
            let pool = try directory.write(
                """
                [global]
                error_log = \(directory.file("fpm.log"))
                [www]
                \(isRoot ? "user = www-data\ngroup = www-data\nlisten.owner = www-data" : "")
                listen = \(socket)
                pm = static
                pm.max_children = 4
                php_value[session.save_path] = \(directory.file("sessions"))

                """,
                to: "fpm.conf"
            )
            let port = try Ports.free()
            let server = try Derived.text(
                "examples/php/nginx.conf",
                [
                    "--directory", directory.path, "--port", "\(port)", "--php", socket,
                    "--bus-socket", holdfast.busSocket, "--secret", secret,
                ] + options,
                in: directory
            )
            let fpm = try ChildProcess(
                Tool.phpFPM.path,
                ["--nodaemonize", "--fpm-config", pool],
                name: "fpm",
                directory: directory
            )
            try waitUntil("php-fpm listens: \(fpm.errorText)") { Files.exists(socket) }
            try WebServer.with(.nginx, before: holdfast, addition: server) { _ in
                try body(holdfast, "http://127.0.0.1:\(port)", port)
            }
            fpm.signal(SIGTERM)
            #expect(try fpm.wait() == .exited(0))
        }
    }

    private func logIn(_ page: Browser.Page, _ user: String, _ password: String = "secret") throws {
        try page.type(user, into: "user")
        try page.type(password, into: "password")
        try page.pressEnter()
    }

    /// As an administrator, on the command line.
    private func notify(_ user: String, _ text: String, _ holdfast: HoldfastServer) throws {
        let outcome = try ChildProcess.run(
            Tool.php.path,
            ["\(files)/notify.php", user, text],
            directory: holdfast.directory,
            environment: ["HOLDFAST_BUS": holdfast.busSocket]
        )
        #expect(outcome.exit == .exited(0), "\(outcome.error)")
    }

    @Test func `from the login to a live page of one's own`() throws {
        try with { holdfast, site, _ in
            let browser = try Browser(directory: holdfast.directory)
            let ann = try browser.open("\(site)/php/login.php")
            try logIn(ann, "ann", "wrong")
            try ann.waitForText("The name or the password is wrong.")
            try logIn(ann, "ann")
            try ann.waitForText("Inbox of ann")
            try ann.waitForText("Up to date")
            try notify("ann", "<i>one</i> & two", holdfast)
            try ann.waitForText("<i>one</i> & two")

            // Another user, in another browser, writes to the first.
            let bob = try browser.open("\(site)/php/login.php")
            try logIn(bob, "bob")
            try bob.waitForText("Inbox of bob")
            try bob.waitForText("Up to date")
            try bob.type("hello from Bob", into: "text")
            try bob.evaluate("document.getElementById('to').value = 'ann'")
            try bob.pressEnter()
            try ann.waitForText("hello from Bob")
            try notify("bob", "for Bob alone", holdfast)
            try bob.waitForText("for Bob alone")
            #expect(try bob.text.contains("hello from Bob") == false)
            #expect(try ann.text.contains("for Bob alone") == false)

            try ann.evaluate("document.querySelector('header button').click()")
            try ann.waitForText("Log in")
            try ann.evaluate(
                "void fetch('/push/inbox/ann').then(({status}) => (document.title = status))"
            )
            try waitUntil("it is closed") { try ann.evaluate("document.title") == "401" }
        }
    }

    @Test func `a page with a signed link gets the next one when it expires, and misses nothing`()
        throws
    {
        try with(options: ["--parameters", "fastcgi_param LINK_SECONDS 2;"]) {
            holdfast,
            site,
            port in
            #expect(
                try HTTPClient.exchange("GET", "/php/link.php", [:], port: port).status == 401
            )
            let browser = try Browser(directory: holdfast.directory)
            let ann = try browser.open("\(site)/php/login.php")
            try logIn(ann, "ann")
            try ann.waitForText("Inbox of ann")
            try ann.navigate(to: "\(site)/php/signed.php")
            try ann.waitForText("Up to date")
            try notify("ann", "one", holdfast)
            try ann.waitForText("one")
            for (count, text) in [(2, "two"), (3, "three")] {
                let links =
                    "performance.getEntriesByType('resource')"
                    + ".filter(({ name }) => name.endsWith('/link.php')).length"
                try waitUntil("a further link") {
                    try ann.evaluate(links).number ?? 0 >= Double(count)
                }
                try notify("ann", text, holdfast)
                try ann.waitForText(text)
            }
            let texts = try ann.evaluate(
                "[...document.querySelectorAll('#list li')].map((one) => one.firstChild.data).join()"
            )
            #expect(texts.string == "three,two,one")
            #expect(try holdfast.metrics().ended("expired") >= 1)
            // It is for her inbox alone.
            let link = try ann.evaluate(
                "fetch('link.php').then((one) => one.json()).then((one) => one.link)"
            )
            let target = try #require(link.string)
            #expect(try HTTPClient.exchange("GET", target, [:], port: port).status == 200)
            let other = target.replacing("inbox/ann", with: "inbox/bob")
            #expect(try HTTPClient.exchange("GET", other, [:], port: port).status == 401)
        }
    }

    @Test func `no user reads what is another's, and no file but the pages is served`() throws {
        try with { holdfast, site, port in
            func get(_ target: String, _ fields: [String: String] = [:]) throws -> HTTPAnswer {
                try HTTPClient.exchange("GET", target, fields, port: port)
            }
            #expect(try get("/push/inbox/ann").status == 401)
            #expect(try get("/php/index.php").status == 303)
            for name in ["session.php", "auth.php", "publish.php", "nginx.conf", "README.md", ""] {
                #expect(try get("/php/\(name)").status == 404, "\(name)")
            }
            #expect(try get("/auth").status == 404)

            let form = ["Content-Type": "application/x-www-form-urlencoded"]
            let answer = try HTTPClient.exchange(
                "POST",
                "/php/login.php",
                form,
                body: "user=bob&password=secret",
                port: port
            )
            #expect(answer.status == 303)
            // It came without Origin, as from a program; a browser names its page.
            for (origin, status) in [("http://evil.example", 403), ("null", 403), (site, 303)] {
                let logIn = try HTTPClient.exchange(
                    "POST",
                    "/php/login.php",
                    form.merging(["Origin": origin]) { $1 },
                    body: "user=bob&password=secret",
                    port: port
                )
                #expect(logIn.status == status && (logIn["Set-Cookie"] == nil) == (status == 403))
            }
            let cookie = try #require(answer["Set-Cookie"])
            #expect(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"))
            let bob = ["Cookie": String(cookie.prefix { $0 != ";" })]
            #expect(try get("/push/inbox/bob", bob).status == 200)
            #expect(try get("/push/inbox/ann", bob).status == 401)
            #expect(try get("/push/inbox/bob,inbox/ann", bob).status == 401)
            #expect(try get("/push/-/status", bob).status == 403)
            let forged = bob.merging(["Holdfast-Read": "**", "Holdfast-User": "ann"]) { $1 }
            #expect(try get("/push/inbox/ann", forged).status == 401)
            let post = try HTTPClient.exchange(
                "POST",
                "/push/inbox/bob",
                bob,
                body: "x",
                port: port
            )
            #expect(post.status == 403)
        }
    }
}
