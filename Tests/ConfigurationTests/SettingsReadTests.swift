import Channels
import Configuration
import Liveness
import SeededRandom
import Testing

struct SettingsReadTests {
    @Test func `an empty file is the defaults`() throws {
        #expect(try settings("") == Settings())
    }

    @Test func `the default memory of tokens did not hold one for each held request`() {
        let limits = Settings().limits
        // Half of it is certain; 800 bytes are a token with several patterns.
        #expect(limits.tokenMemoryBytes / 2 / limits.heldRequests >= 800)
    }

    @Test func `every kind of value is read`() throws {
        let read = try settings(
            """
            [fastcgi]
            listen = [::1]:9000
            mode = 600
            group = www-data
            base = /
            max_connections = 1000000
            stop_timeout = 5m
            [bus]
            directory = /srv/my bus
            durability = power
            max_bytes = 1T
            reserve_bytes = 64K
            [retain news/**]
            age = 2h
            [allow news/*]
            read = everyone
            publish = nobody
            [hold]
            max_wait = 55
            jitter = 0%
            early_headers = on
            [limits]
            message_bytes = 1234
            [cors]
            origins = https://a.example, http://[::1]:81 capacitor://localhost
            [endpoint /sub]
            wait = 1h
            channels = a,b  c/d
            action = subscribe
            on_timeout = 204
            cursor = cookie
            format = bare
            [endpoint /debug]
            action = held
            [log]
            level = warning
            """
        )
        var expected = Settings()
        expected.fastcgi.listen = .tcp(address: "::1", port: 9000)
        expected.fastcgi.mode = 0o600
        expected.fastcgi.group = "www-data"
        expected.fastcgi.base = "/"
        expected.fastcgi.maxConnections = 1_000_000
        expected.fastcgi.stopSeconds = 300
        expected.bus.directory = "/srv/my bus"
        expected.bus.durability = .power
        expected.bus.maxBytes = 1 << 40
        expected.bus.reserveBytes = 65536
        expected.retain = [RetainRule(pattern: ChannelPattern("news/**")!, ageSeconds: 7200)]
        expected.allow = [
            AllowRule(pattern: ChannelPattern("news/*")!, read: .everyone, publish: .nobody)
        ]
        expected.hold.maxWaitSeconds = 55
        expected.hold.jitterPercent = 0
        expected.hold.earlyHeaders = true
        expected.limits.messageBytes = 1234
        expected.cors.origins = .listed([
            "https://a.example", "http://[::1]:81", "capacitor://localhost",
        ])
        var sub = FixedEndpoint(path: "/sub", action: .subscribe)
        sub.channels = try ["a", "b", "c/d"].map { try ChannelName($0) }
        sub.waitSeconds = 3600
        sub.onTimeout = .noContent
        sub.cursor = .cookie
        sub.format = .bare
        expected.endpoints = [sub, FixedEndpoint(path: "/debug", action: .held)]
        expected.log.level = .warning
        #expect(read == expected)
    }

    @Test(arguments: ["allow", "retain", "presence"])
    func `sections count by how specific they are, not by their order`(section: String) throws {
        let values =
            ["allow": ["everyone", "nobody", "user:a"], "retain": ["1", "2", "3"]][section]
            ?? ["1", "2", "3"]
        let key = ["allow": "read", "retain": "count"][section] ?? "grace"
        let sections = zip(["**", "secret/**", "secret/*"], values)
            .map { "[\(section) \($0)]\n\(key) = \($1)\n" }
        let wanted = try settings(sections.reversed().joined())
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            #expect(try settings(order.map { sections[$0] }.joined()) == wanted)
        }
        let (secret, deeper, other) = try (
            ChannelName("secret/a"), ChannelName("secret/a/b"), ChannelName("other")
        )
        #expect(
            [secret, deeper, other].map { wanted.retention(of: $0).count }
                == (section == "retain" ? [3, 2, 1] : [1000, 1000, 1000])
        )
        if section == "presence" {
            let graces = [secret, deeper, other].map { wanted.presence(on: $0)?.graceMilliseconds }
            #expect(graces == [3000, 2000, 1000])
        }
        if section == "allow" {
            #expect(wanted.allow.map(\.pattern.text) == ["secret/*", "secret/**", "**"])
            #expect(try settings(sections.joined()).allow.map(\.line) == [5, 3, 1])
        }
    }

    @Test(arguments: [
        (
            "[allow **]\nread = nobody\n[allow **/*]\nread = everyone",
            "f:3: section [allow **/*] matches the same channels as [allow **] in line 1; write its keys in one place"
        ),
        (
            "[retain a/*/**]\ncount = 1\n[presence a/**/*]\n[retain a/**/*]\nage = 1s",
            "f:4: section [retain a/**/*] matches the same channels as [retain a/*/**] in line 1; write its keys in"
                + " one place"
        ),
        (
            "[quota unix:www-data]\nmessages = 1",
            "f:1: 'unix:www-data' is not a user of the bus socket; allowed: the number of a user, such as [quota unix:1000]"
        ),
        (
            "[quota pipe:/run/p]\nmessages = 1",
            "f:1: 'pipe:/run/p' has no quota: lines that cannot be taken wait in their pipe; allowed: users and publishers of"
                + " the web, *, and unix:NUMBER"
        ),
        (
            "[allow ~presence/chat]\nread = nobody",
            "f:1: '~presence/chat' matches no channel: channels of presence have no rules of their own"
        ),
        (
            "[retain -/status]\ncount = 1",
            "f:1: '-/status' matches no channel: channel names that begin with '-/' or '~' are reserved"
        ),
        (
            "[allow **/../*]\nread = everyone",
            "f:1: '**/../*' matches no channel: a channel name must not contain the segments '.' or '..'"
        ),
    ])
    func `a section that could never count is refused`(text: String, problem: String) {
        #expect(problems(text) == [problem])
    }

    @Test func `patterns that match something long, or odd, are allowed`() {
        let name = String(repeating: "x", count: 128)
        for pattern in [name, "**/\(name)", "\(name)/**", "**/~a", "*/-", "-a/*", "a~/..."] {
            #expect(problems("[allow \(pattern)]\nread = everyone") == [], "\(pattern)")
        }
        for pattern in ["\(name)x", "*/\(name)", "**/*/\(name)"] {
            #expect(problems("[allow \(pattern)]\nread = everyone").count == 1, "\(pattern)")
        }
    }

    @Test(arguments: 0..<300)
    func `garbage never crashes and never passes for settings it does not say`(seed: Int) {
        var dice = SplitMix64(seed: UInt64(seed))
        let pieces = [
            "[", "]", "=", "#", ";", "\n", "\r\n", " ", "/", "*", ",", "\0", "\u{FEFF}", "é", "-",
            "~",
            "hold", "fastcgi", "limits", "endpoint", "retain", "allow", "max_wait", "listen",
            "action",
            "subscribe", "channels", "cookie", "127.0.0.1:", "0660", "99999999999999999999", "16M",
            "5s",
            "[fastcgi]\n", "[retain **]\ncount = ", "[endpoint /x]\n", "listen = ", "origins = ",
        ].map { Array($0.utf8) }
        for _ in 0..<20 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0..<60, using: &dice) {
                if Int.random(in: 0..<8, using: &dice) == 0 {
                    bytes.append(UInt8.random(in: 0...255, using: &dice))
                } else {
                    bytes += pieces.randomElement(using: &dice)!
                }
            }
            switch Settings.read(bytes) {
            case .success(let read):
                // Whatever is accepted can be printed and read again.
                #expect((try? settings(read.render())) == read)
            case .failure(let problems):
                #expect(!problems.list.isEmpty)
                let lines = problems.compactMap(\.line)
                #expect(lines == lines.sorted())
                for problem in problems {
                    #expect(!problem.sentence.utf8.contains { $0 < 0x20 || $0 == 0x7F })
                }
            }
        }
    }

    @Test func `a list reports all of its bad items, not only the first`() {
        #expect(
            problems("[cors]\norigins = null, https://ok.example, http://a/, *") == [
                "f:2: origins = null, https://ok.example, http://a/, * has 'null', which is what any"
                    + " sandboxed page sends and cannot be allowed, and has 'http://a/', which has a"
                    + " path; an origin ends after the host or port, and has '*', which must stand"
                    + " alone; allowed: none, *, or origins such as https://www.example.org:8443"
                    + " separated by commas"
            ]
        )
        let channels = problems(
            "[endpoint /x]\naction = subscribe\nchannels = -/a, b, ~c, b, d//e, b"
        )
        #expect(channels.count == 1)
        for item in ["has '-/a', but ", "has '~c', but ", "has 'd//e', but ", "names 'b' twice"] {
            #expect(channels[0].split(separator: item).count == 2, "\(item)")
        }
    }

    @Test(arguments: [
        "cursor = cookie\non_timeout = close", "on_timeout = close\nwait = 9\ncursor = cookie",
        "cursor = cookie\non_timeout = 503",
    ])
    func `a cookie and a closed answer were refused together`(keys: String) {
        #expect(problems("[endpoint /x]\naction = subscribe\nchannels = a\n" + keys).isEmpty)
    }

    @Test func `two publishers whose names Unicode calls the same had one quota`() throws {
        let (one, other) = ("Jos\u{E9}", "Jose\u{301}")
        let read = try settings("[quota \(one)]\nmessages = 1\n[quota \(other)]\nmessages = 2\n")
        #expect(read.quota(of: one)?.messages == 1)
        #expect(read.quota(of: other)?.messages == 2)
        #expect(try settings("[quota \(one)]\nmessages = 1\n").quota(of: other) == nil)
    }

    private func notices(_ text: String) throws -> [String] {
        try settings(text).notices().map { $0.description(file: "f") }
    }

    @Test func `a closed pattern was opened silently by an overlapping one`() throws {
        let (open, closed) = (
            "[allow */public]\nread = everyone\n", "[allow secret/**]\nread = nobody\n"
        )
        #expect(
            try notices(open + closed) == [
                "f:1: [allow */public] and [allow secret/**] in line 3 both match 'secret/public', and"
                    + " [allow */public] decides: read = everyone; if that is not intended,"
                    + " add [allow secret/public] with read = nobody"
            ]
        )
        for silent in [
            open + closed + "[allow secret/public]\nread = nobody\n",
            open + closed.replacing("nobody", with: "everyone"),
            open + closed.replacing("read", with: "publish"),
            "[allow **]\nread = everyone\n" + closed + "[allow secret/*/x]\nread = everyone\n",
            "[allow news/*]\nread = everyone\n" + closed,
        ] {
            #expect(try notices(silent) == [])
        }
        let many = (1...60).map {
            "[allow *\($0 % 2 == 0 ? "" : "/**")/a\($0)]\nread = everyone\n"
                + "[allow b\($0)/**]\nread = nobody\n"
        }
        #expect(try notices(many.joined()).count == 20)
    }
}
