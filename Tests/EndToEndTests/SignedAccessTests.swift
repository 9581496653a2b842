import Glibc
import Harness
import Testing

/// Signed links and tokens, as other programs make them.
@Suite struct SignedAccessTests {
    private static let secret = "0123456789abcdef0123456789abcdef"

    /// The settings of a test, with the secret in a file.
    private static func settings(_ server: HoldfastServer, further: String = "") throws -> String {
        let file = try server.directory.write(secret + "\n", to: "web.secret")
        chmod(file, 0o640)
        return """
            [key web]
            secret_file = \(file)
            cookie = session
            [allow user/**]
            read = key:web
            publish = key:web
            [allow open]
            read = everyone
            publish = everyone
            [hold]
            jitter = 0%

            """ + further
    }

    private func with(
        further: String = "",
        _ body: (HoldfastServer) throws -> Void
    ) throws {
        try HoldfastServer.with { server in
            try reload(server, Self.settings(server, further: further))
            try body(server)
        }
    }

    private func reload(_ server: HoldfastServer, _ settings: String) throws {
        let before = server.log.ranges(of: "ini file read again").count
        try server.writeSettings(settings)
        server.reload()
        try waitUntil("it is read") {
            server.log.ranges(of: "ini file read again").count > before
        }
    }

    /// The lines of holdfast-http(7) for one language.
    private static func example(_ language: String) throws -> String {
        let text = Files.text("\(Place.root)/scripts/manual.d/holdfast-http.7.mdoc")
        let parts = text.split(separator: "```\(language.lowercased())\n", maxSplits: 1)
        try #require(parts.count == 2)
        return String(parts[1].split(separator: "\n```", maxSplits: 1)[0])
    }

    private static func run(_ language: String, in directory: TestDirectory) throws -> String {
        let code = try example(language)
        let (program, arguments): (String, [String]) =
            switch language {
            case "PHP":
                (try Tool.php.path, ["-r", "$secret = '\(secret)';\n\(code)"])
            case "Python":
                (
                    try Tool.python.path,
                    ["-c", "import hmac, time\nsecret = b'\(secret)'\n\(code)"]
                )
            case "Node":
                (
                    try Tool.node.path,
                    [
                        "-e",
                        "const crypto = require('crypto'), secret = '\(secret)'; var q\n\(code)",
                    ]
                )
            default: ("/bin/sh", ["-c", "secret=\(secret)\n\(code)"])
            }
        let run = try ChildProcess.run(
            program,
            arguments,
            directory: directory,
            environment: ["PATH": "/usr/bin:/bin"]
        )
        try #require(run.exit == .exited(0), "\(run.error)")
        return String(decoding: run.output, as: UTF8.self).firstLine
    }

    @Test(
        .enabled(if: Tool.usable(.php, .python, .node), "php, python3 or node is not installed"),
        arguments: ["PHP", "Python", "Node", "shell"]
    )
    func `the manual's lines make links that open their channel`(language: String) throws {
        try with { server in
            let link = try Self.run(language, in: server.directory)
            #expect(link.hasPrefix("/push/?channel=user/42&expires="))
            #expect(try server.get(link).status == 200)
            let poll = try server.hold(link + "&wait=20&since=now")
            let signed = try server.command("sign", "user/42", "--publish", "--user", "Ada & co")
            #expect(signed.exit == .exited(0), "\(signed.error)")
            #expect(try server.post(signed.output.firstLine, "hello").status == 201)
            #expect(try poll.answer().json["messages"].array.count == 1)
            let other = link.replacing("user/42", with: "user/43")
            #expect(try server.get(other).json["code"].string == "link_signature")
            #expect(try server.post(link, "hello").json["code"].string == "publish_forbidden")
            #expect(try server.get("/push/user/42").status == 401)
        }
    }

    @Test func `sign made links that no request could use`() throws {
        try with(further: "[limits]\nchannels_per_request = 2\n") { server in
            let twice = try server.command("sign", "user/42", "user/1", "user/42")
            #expect(try server.get(twice.output.firstLine).status == 200)
            for wrong in [
                ["user/1", "--user", ""], ["user/1", "--user", " "], ["user/1", "--user", "a\nb"],
                ["user/1", "--user", String(repeating: "x", count: 129)],
                ["user/1", "--expires", "100000000d"], ["user/1", "--expires", "3651d"],
                ["user/1", "user/2", "user/3"],
            ] {
                let run = try server.start(["sign"] + wrong)
                #expect(try run.wait() == .exited(64), "\(wrong)")
                #expect(run.outputText.isEmpty)
            }
            let closed = try server.command("sign", "user/1", "secret")
            #expect(closed.exit == .exited(0))
            #expect(closed.error.contains("the link does not open secret: no [allow] section"))
            #expect(!closed.error.contains("user/1"))
        }
    }

    @Test func `a named pipe in the place of a key's file stopped the process`() throws {
        try with { server in
            let file = server.directory.file("web.secret")
            unlink(file)
            #expect(mkfifo(file, 0o640) == 0)
            server.expectsErrors = true
            server.reload()
            try waitUntil("the reload is refused") {
                server.log.contains("web.secret is not a file")
            }
            #expect(try server.get("/push/-/ready").status == 200)
        }
    }

    @Test(.enabled(if: Place.isRoot, "only root can make a file of another user's"))
    func `check as root was content with a secret that the service cannot read`() throws {
        let nobody: uid_t = 65534
        let directory = try TestDirectory()
        let bus = try directory.makeDirectory("bus")
        chown(bus, nobody, nobody)
        let file = try directory.write(Self.secret + "\n", to: "web.secret")
        chmod(file, 0o640)
        let settings = try directory.write(
            """
            [fastcgi]
            listen = \(directory.file("fcgi.sock"))
            group = own
            [bus]
            directory = \(bus)
            socket = none
            [key web]
            secret_file = \(file)
            """,
            to: "holdfast.ini"
        )
        func check() throws -> (ChildProcess.Exit, String) {
            let run = try ChildProcess.run(
                try Place.holdfast,
                ["check", "--config", settings],
                directory: directory
            )
            return (run.exit, run.error)
        }
        let (exit, error) = try check()
        #expect(exit == .exited(1))
        #expect(
            error.contains(
                "[key web] secret_file = \(file): it belongs to root:root with mode 0640"
            )
        )
        #expect(error.contains("cannot read it; give it to a group of that user: chgrp "))
        chown(file, 0, nobody)
        #expect(try check() == (.exited(0), ""))
        // The directories on the way count, too.
        let closed = try directory.makeDirectory("closed", mode: 0o700)
        rename(file, "\(closed)/web.secret")
        symlink("\(closed)/web.secret", file)
        #expect(try check().0 == .exited(1))
    }

    // MARK: Tokens

    @Test(
        .enabled(
            if: Tool.usable(.node, .nginx, .lighttpd, .apache, .haproxy, .caddy),
            "node or a web server is not installed"
        ),
        arguments: WebServer.Kind.fastCGI + [.lighttpdCGI, .apacheCGI]
    )
    func `a token in a header was lost behind Apache and HAProxy`(kind: WebServer.Kind)
        throws
    {
        try with { server in
            let token = try Self.token(server, Self.payload(seconds: 600))
            try WebServer.with(kind, before: server) { web throws in
                let fields = ["Authorization": "Bearer \(token)"]
                #expect(try web.get("/push/user/1?since=first", fields).status == 200)
            }
        }
    }

    private static func token(
        _ server: HoldfastServer,
        _ payload: String,
        algorithm: String = "HS256",
        key: String = secret
    ) throws -> String {
        let run = try ChildProcess.run(
            try Tool.node.path,
            ["\(Place.root)/Tests/EndToEndTests/Support/token.mjs", algorithm, key, payload],
            directory: server.directory
        )
        try #require(run.exit == .exited(0), "\(run.error)")
        return String(decoding: run.output, as: UTF8.self).firstLine
    }

    private static func payload(seconds: Int) -> String {
        #"{"exp":\#(time(nil) + seconds),"sub":"ada","holdfast":{"read":["user/1"],"publish":"user/*"}}"#
    }

    @Test(.enabled(if: Tool.usable(.node), "node is not installed"))
    func `a token opens channels by header field, parameter and cookie, and is never logged`()
        throws
    {
        try with { server in
            let token = try Self.token(server, Self.payload(seconds: 600))
            for fields in [
                ["Authorization": "Bearer \(token)"], ["Cookie": "a=b; session=\(token)"],
            ] {
                #expect(try server.get("/push/user/1", fields).status == 200)
                #expect(try server.get("/push/user/2", fields).status == 403)
                #expect(try server.post("/push/user/2", "x", fields: fields).status == 201)
            }
            let answer = try server.get("/push/user/1?since=now&access_token=\(token)")
            #expect(answer.status == 200)
            #expect(answer["Link"]?.contains("token") == false)
            let stream = try server.hold("/push/user/1?stream=sse&access_token=\(token)")
            #expect(!server.log.contains(token.prefix(20)))
            let metrics = try server.metrics()
            // Once for each way: others may have other keys.
            #expect(metrics[#"holdfast_tokens_total{verdict="verified"}"#] == 2)
            #expect(metrics[#"holdfast_tokens_total{verdict="remembered"}"#] >= 6)
            // The key goes, and with it what it had let in.
            try reload(server, "[allow open]\nread = everyone\n")
            #expect(try stream.answer().text.contains(#""reason":"revoked""#))
            #expect(try server.get("/push/user/1?access_token=\(token)").status == 403)
            let shown = try server.command("token", token)
            #expect(shown.exit == .exited(1) && shown.output.contains("read        user/1"))
        }
    }

    @Test(.enabled(if: Tool.usable(.node), "node is not installed"))
    func `what is held under a token ends with it`() throws {
        try with { server in
            let token = try Self.token(server, Self.payload(seconds: 3))
            let poll = try server.hold("/push/user/1?wait=25&since=now&access_token=\(token)")
            let stream = try server.hold("/push/user/1?stream=sse&access_token=\(token)")
            let answer = try poll.answer()
            #expect(answer.status == 401)
            #expect(try answer.json["code"].string == "expired")
            #expect(answer["WWW-Authenticate"]?.contains("invalid_token") == true)
            #expect(try stream.answer().text.contains(#""reason":"expired""#))
            let again = try server.get("/push/user/1?access_token=\(token)")
            #expect(again.status == 401)
            #expect(try server.metrics().ended("expired") == 2)
        }
    }

    @Test(
        .enabled(if: Tool.usable(.node), "node is not installed"),
        arguments: [("ES256", "EC -pkeyopt ec_paramgen_curve:P-256"), ("EdDSA", "ED25519")]
    )
    func `tokens under public keys that openssl made are good`(
        algorithm: String,
        options: String
    ) throws {
        try HoldfastServer.with { server in
            let own = server.directory.file("private.pem")
            let known = server.directory.file("public.pem")
            let made = try server.shell(
                "openssl genpkey -algorithm \(options) -out \(own) && "
                    + "openssl pkey -in \(own) -pubout -out \(known)"
            )
            try #require(made.exit == .exited(0), "\(made.error)")
            let rest = "\n[allow user/**]\nread = key:idp\n"
            try reload(
                server,
                "[key idp]\nalgorithm = \(algorithm)\npublic_key_file = \(known)\n"
                    + "audience = https://www.example.org" + rest
            )
            let audience = #""aud":["https://www.example.org"],"#
            let payload = Self.payload(seconds: 60)
            let good = try Self.token(
                server,
                "{" + audience + payload.dropFirst(),
                algorithm: algorithm,
                key: own
            )
            #expect(try server.get("/push/user/1?access_token=\(good)").status == 200)
            let other = try Self.token(server, payload, algorithm: algorithm, key: own)
            #expect(
                try server.get("/push/user/1?access_token=\(other)").json["code"].string
                    == "token_audience"
            )
            let shown = try server.command("token", input: good + "\n")
            #expect(shown.output.contains("verdict     valid, signed with [key idp]"))
        }
    }

    @Test func `keys that cannot be used are named with what to do`() throws {
        try HoldfastServer.with { server in
            let file = try server.directory.write(Self.secret, to: "open.secret")
            chmod(file, 0o644)
            let short = try server.directory.write("short", to: "short.secret")
            chmod(short, 0o600)
            try server.writeSettings(
                """
                [key open]
                secret_file = \(file)
                [key short]
                secret_file = \(short)
                [key missing]
                algorithm = ES256
                public_key_file = \(server.directory.file("nothing.pem"))
                [key both]
                secret = \(Self.secret)
                secret_file = \(file)
                [allow a]
                read = key:opne
                """
            )
            let check = try server.command("check", "--config", server.iniFile)
            #expect(check.exit == .exited(1))
            for part in [
                "has mode 0644, so that others may read it; chmod 0640", "has only 5 bytes",
                "cannot be read: No such file", "[key both] needs one secret",
                "names key:opne, and there is no section [key opne]; did you mean key:open?",
            ] {
                #expect(check.error.contains(part), "\(part) in \(check.error)")
            }
            // A reload with these changes nothing.
            server.reload()
            try waitUntil("it is refused") { server.log.contains("was not applied") }
            // What others may see does not show the secret.
            try server.writeSettings("[key web]\nsecret = \(Self.secret)\n")
            let shown = try server.command("check", "--config", server.iniFile, "--print")
            #expect(shown.exit == .exited(0) && !shown.output.contains(Self.secret))
            #expect(shown.error.contains("has its secret in this file"))
            server.expectsErrors = true
        }
    }
}

extension String {
    fileprivate var firstLine: String { split(separator: "\n").first.map(String.init) ?? "" }
}
