import Channels
import Engine
import Harness
import System
import Testing
import Text

@Suite(.enabled(if: PostgreSQL.isUsable)) struct AppendTests {
    @Test func `groups are read in order with dense offsets and a chain that holds`() throws {
        let site = try Site()
        let session = try site.session()
        let start = try session.anchor(deadline: soon)
        #expect(start.head == 0)
        #expect(start.epochs.count == 1)
        var known = EnginePosition.none
        for number in 1...3 {
            let receipt = try session.append(
                gid: gid(),
                known: known,
                parts: [
                    try part([text("a", "\(number)"), text("b", "\(number)!")], dropping: ["c"])
                ],
                deadline: soon
            )
            #expect(receipt.base == Int64(number * 3 - 2))
            // The first offset is the one at which the channel was dropped.
            #expect(receipt.firsts == [receipt.base + 1])
            known = receipt.position
        }
        let groups = try session.read(after: start.position, deadline: soon).groups
        #expect(groups.map(\.messages) == (1...3).map { ["drop c", "\($0)", "\($0)!"] })
        #expect(groups.last?.position == known)
        #expect(groups.map(\.base) == [1, 4, 7])
        #expect(try session.read(after: known, deadline: soon).groups.isEmpty)
        let few = try session.read(after: start.position, bytes: 1, deadline: soon).groups
        #expect(few.count == 1)
        let head = try session.look(deadline: soon)
        #expect(head.seq == known.seq)
        #expect(head.offset == 9)
        #expect(head.epoch == start.epochs[0].epoch.name)
        #expect(!head.hasOutbox)
    }

    @Test func `a group sent twice is appended once, and both get the same outcome`() throws {
        let site = try Site()
        let (one, other) = (try site.session(), try site.session())
        let id = gid()
        let parts = [try part([text("a", "once")])]
        let first = try one.append(gid: id, known: .none, parts: parts, deadline: soon)
        _ = try one.append(gid: gid(), known: .none, parts: parts, deadline: soon)
        let again = try other.append(gid: id, known: .none, parts: parts, deadline: soon)
        #expect(first == again)
        let start = try one.anchor(deadline: soon).position
        #expect(try one.read(after: start, deadline: soon).groups.count == 2)
    }

    @Test func `a backend ended at the commit leaves exactly one group`() throws {
        // The commit waits for a standby that is not there, so the backend can be ended in the middle of it.
        let site = try Site()
        let session = try site.session()
        try site.server.withholdCommits()
        let waiting = """
            SELECT count(*) FROM pg_stat_activity
            WHERE application_name = 'holdfast' AND wait_event = 'SyncRep'
            """
        let id = gid()
        let parts = [try part([text("a", "once")])]
        let ender = Ender(server: site.server, waiting: waiting)
        #expect(ender.start())
        #expect(throws: EngineError.self) {
            try session.append(gid: id, known: .none, parts: parts, deadline: soon)
        }
        #expect(!session.isOpen)
        #expect(ender.wait())
        try site.server.releaseCommits()
        let next = try site.session()
        let receipt = try next.append(gid: id, known: .none, parts: parts, deadline: soon)
        #expect(receipt.base == 1)
        #expect(try next.look(deadline: soon).offset == 1)
    }

    @Test func `a repeated group waits for the standbys, too`() throws {
        let site = try Site()
        let id = gid()
        let parts = [try part([text("a", "once")])]
        let receipt = try site.session().append(
            gid: id,
            known: .none,
            parts: parts,
            deadline: soon
        )
        #expect(receipt.count == 1)
        let outcome = try site.server.sql(
            """
            BEGIN; SELECT count(*) FROM holdfast.append('\(site.id)', '\\x\(hexadecimal(id))', 0, '',
                NULL, NULL, NULL, NULL, NULL, 0);
            SELECT pg_current_xact_id_if_assigned() IS NOT NULL; ROLLBACK
            """
        )
        // A transaction with an id writes a commit record, for which the standby is waited.
        #expect(outcome.split(separator: "\n").last == "t")
    }

    @Test func `an idempotency key is decided once for all machines`() throws {
        let site = try Site()
        try Site.join(site.server, "two")
        let (one, two) = (try site.session(), try site.session("two"))
        var keyed = try part([text("a", "keyed")])
        (keyed.scope, keyed.digest) = ([1], [1])
        var other = try part([text("a", "other")])
        (other.scope, other.digest) = ([1], [2])
        let plain = try part([text("a", "plain")])
        let first = try one.append(gid: gid(), known: .none, parts: [plain, keyed], deadline: soon)
        #expect(first.firsts == [1, 2])
        let second = try two.append(
            gid: gid(),
            known: .none,
            parts: [keyed, plain, other],
            deadline: soon
        )
        #expect(second.firsts == [-2, 3, 0])
        #expect(try one.look(deadline: soon).offset == 3)
        // After five minutes a key is free again.
        try site.server.sql("UPDATE holdfast.keys SET at = at - 300001")
        let third = try one.append(gid: gid(), known: .none, parts: [other], deadline: soon)
        #expect(third.firsts == [4])
    }

    @Test func `what SQL publishes is appended when it commits, and never otherwise`() throws {
        let site = try Site()
        let server = site.server
        try server.sql("CREATE ROLE shop LOGIN; GRANT holdfast_publisher TO shop")
        try server.sql(
            """
            BEGIN; SELECT holdfast.publish('lost', '1'); ROLLBACK;
            BEGIN; SELECT holdfast.publish('news', E'{"n":\\n1}', type => 'x', ttl => 9, topic => 't');
            SELECT holdfast.publish('news', to_jsonb(2), key => 'k'); COMMIT;
            SELECT holdfast.publish('news', 'words', content_type => 'text/plain');
            SELECT holdfast.publish_bytes('news', '\\x00ff');
            SELECT holdfast.publish('news', to_jsonb(2), key => 'k')
            """,
            user: "shop"
        )
        let session = try site.session()
        #expect(try session.look(deadline: soon).hasOutbox)
        let receipt = try session.append(
            gid: gid(),
            known: .none,
            parts: [],
            fromOutbox: 100,
            deadline: soon
        )
        #expect(receipt.count == 4)
        #expect(receipt.firsts == [1, 2, 3, 4, -2])
        #expect(try !session.look(deadline: soon).hasOutbox)
        let start = try session.anchor(deadline: soon).position
        let groups = try session.read(after: start, deadline: soon).groups
        guard case .records(let records)? = groups.first?.content else {
            Issue.record("no records")
            return
        }
        let news = try ChannelName("news")
        #expect(
            records == [
                .message(
                    Draft(
                        channel: news,
                        kind: .json,
                        contentType: "application/json",
                        body: Array(#"{"n": 1}"#.utf8),
                        type: "x",
                        timeToLiveSeconds: 9,
                        topic: "t"
                    )
                ),
                .message(
                    Draft(channel: news, kind: .json, contentType: "application/json", body: [0x32])
                ),
                .message(try text("news", "words")),
                .message(
                    Draft(
                        channel: news,
                        kind: .bytes,
                        contentType: "application/octet-stream",
                        body: [0, 255]
                    )
                ),
            ]
        )
    }

    @Test func `large messages of SQL could never be taken in time`() throws {
        let site = try Site()
        try site.server.sql(
            "SELECT holdfast.publish('a', repeat('x', 600000), content_type => 'text/plain') FROM generate_series(1, 3)"
        )
        let session = try site.session()
        func take() throws -> Int { try takeOutbox(session, most: 100) }
        #expect(try take() == 2)
        #expect(try session.look(deadline: soon).offset == 2)
        #expect(try take() == 1)
        #expect(try session.look(deadline: soon).offset == 3)
    }

    @Test func `SQL that publishes what HTTP would refuse fails with a sentence`() throws {
        let site = try Site()
        for (call, reason) in [
            ("publish('a/../b', '1')", "channel name"), ("publish('~a', '1')", "channel name"),
            ("publish('-/x', '1')", "channel name"), ("publish('', '1')", "channel name"),
            ("publish(NULL, '1')", "channel name"),
            ("publish('a', '{')", "not JSON"), ("publish('a', NULL::text)", "not null"),
            ("publish('a', '1', content_type => 'text')", "content_type"),
            ("publish('a', '1', content_type => E'text/x\\nb: c')", "content_type"),
            ("publish('a', '1', type => 'gap')", "type must"),
            ("publish('a', '1', type => E'a\\nb')", "type must"),
            ("publish('a', '1', topic => 'a b')", "topic must"),
            ("publish('a', '1', ttl => 0)", "ttl must"),
            ("publish('a', '1', key => E'a\\tb')", "key must"),
        ] {
            let error = #expect(throws: HarnessError.self) {
                try site.server.sql("SELECT holdfast.\(call)")
            }
            #expect(
                error?.description.contains(reason) == true,
                "\(call): \(error?.description ?? "")"
            )
        }
        #expect(try site.server.sql("SELECT count(*) FROM holdfast.outbox") == "0")
    }

    /// Texts at the edges of the rules of `JSONText`.
    private static let edges: [String] = {
        func nested(_ depth: Int, _ open: String = "[", _ close: String = "]") -> String {
            String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
        }
        let digits = String(repeating: "7", count: 300)
        let backslash = "\\"
        let escapes = [
            "ud800", "uDFFF", "ud83d", "ud83d|ude00", "ud83d|ud83d", "ude00|ud83d", "ud83dx|ude00",
            "ud83d|n|ude00", "ud83d|||ude00", "||ud800", "|||ud800", "||||ud83d|ude00", "u0000",
            "u00e9", "uD83D|uDE00|udbff|uDFFF", "udbff",
        ].map {
            "\"" + backslash
                + $0.split(separator: "|", omittingEmptySubsequences: false)
                .joined(separator: backslash) + "\""
        }
        return escapes + [
            nested(500), nested(501), nested(600), nested(50_000), nested(300, "[{\"a\":", "}]"),
            nested(250, "[{\"a\":", "}]"), "[" + String(repeating: "[],", count: 600) + "{}]",
            "\"" + nested(600) + "\"", "[\"\(nested(600))\", \"" + backslash + "\"[\"]",
            digits, digits + "7", "-" + digits, "[0." + digits.dropLast(2) + "]",
            "[0." + digits + "]",
            "\"7" + digits + "\"", "1e308", "1e309", "[-1.8e308]", "1.7976931348623157e308",
            "1.797693134862315808e308", "{\"a\":10000E999999999999999999}", "1e-999", "0e999",
            "1" + digits.dropLast(10) + "e9", "1" + digits.dropLast(10) + "e+99", "1e" + digits,
            "[1E2,true,false]", "{\"1e999\":\"1e999\"}", "1e+999", "-1e999", "{", "[1,]", "01", "",
            "[1] 2", "{\"a\":1,\"a\":2}", "\"\t\"",
        ]
    }()

    @Test func `SQL published JSON that parsers of subscribers refuse`() throws {
        let site = try Site()
        func isRefused(_ text: String) throws -> Bool {
            // Whatever the session says of backslashes.
            let call = "holdfast.publish('a', $text$\(text)$text$)"
            do {
                try site.server.sql("SET standard_conforming_strings = off; SELECT \(call)")
                return false
            } catch let error as HarnessError {
                let sentence = error.description
                #expect(sentence.contains("JSON") && sentence.contains("HINT"), "\(sentence)")
                return true
            }
        }
        for text in Self.edges {
            let isJSON = (try? JSONText.compacted(Array(text.utf8))) != nil
            #expect(try isRefused(text) == !isJSON, "\(text.prefix(80))")
        }
        let session = try site.session()
        while try takeOutbox(session, most: 100) > 0 {}
        var after = try session.anchor(deadline: soon).position
        var published: [String] = []
        while let last = try session.read(after: after, deadline: soon).groups.last {
            published += try session.read(after: after, deadline: soon).groups.flatMap(\.messages)
            after = last.position
        }
        #expect(published == Self.edges.filter { (try? JSONText.compacted(Array($0.utf8))) != nil })
    }

    @Test func `a number of jsonb was longer than parsers of subscribers accept`() throws {
        let site = try Site()
        for (value, isTaken) in [
            ("1e299", true), ("1e300", false), ("1e999", false), ("-1.5", true),
        ] {
            let sql = "SELECT holdfast.publish('a', '\(value)'::jsonb)"
            if isTaken {
                try site.server.sql(sql)
            } else {
                let error = #expect(throws: HarnessError.self) { try site.server.sql(sql) }
                #expect(error?.description.contains("a number of more than 300") == true)
            }
        }
    }

    @Test(arguments: [
        "application/json; charset=utf-8", "Application/JSON", "application/json ;a=b",
    ])
    func `JSON of SQL with a parameter was text that nobody had looked at`(type: String) throws {
        let site = try Site()
        func publish(_ body: String) throws {
            try site.server.sql(
                "SELECT holdfast.publish('a', '\(body)', content_type => '\(type)')"
            )
        }
        #expect(throws: HarnessError.self) { try publish("[1,") }
        try publish("[1]")
        let session = try site.session()
        #expect(try takeOutbox(session, most: 100) == 1)
        let start = try session.anchor(deadline: soon).position
        let json = Draft(
            channel: try ChannelName("a"),
            kind: .json,
            contentType: "application/json",
            body: Array("[1]".utf8)
        )
        guard
            case .records(let records)? =
                try session.read(after: start, deadline: soon).groups.first?.content
        else {
            Issue.record("no records")
            return
        }
        #expect(records == [.message(json)])
    }

    @Test func `roles may do what they are for, and read no table`() throws {
        let site = try Site()
        let server = site.server
        try server.sql("CREATE ROLE stranger LOGIN; CREATE ROLE shop LOGIN; CREATE ROLE node LOGIN")
        try server.sql("GRANT holdfast_publisher TO shop; GRANT holdfast_machine TO node")
        for (user, call) in [
            ("stranger", "SELECT holdfast.publish('a', '1')"),
            ("shop", "SELECT * FROM holdfast.log"),
            ("shop", "SELECT holdfast.look('\(site.id)')"), ("node", "SELECT * FROM holdfast.keys"),
            ("shop", "SELECT holdfast.put('a', 0, '1', 'a/b', NULL, NULL, NULL, NULL, 'x')"),
            ("node", "SELECT holdfast.publish('a', '1')"), ("node", "DELETE FROM holdfast.outbox"),
            ("node", "SELECT holdfast.begin_epoch(NULL, true)"),
        ] {
            #expect(throws: HarnessError.self) { try server.sql(call, user: user) }
        }
        let session = try site.session("one", "host=\(server.path) dbname=postgres user=node")
        let receipt = try session.append(
            gid: gid(),
            known: .none,
            parts: [try part([text("a", "1")])],
            deadline: soon
        )
        #expect(receipt.base == 1)
    }
}

/// Ends the backend of a test once it waits for a standby.
private final class Ender: @unchecked Sendable {
    // Used by the thread until it ends.
    private let server: PostgreSQL
    private let waiting: String
    private var thread: WorkerThread?

    init(server: PostgreSQL, waiting: String) {
        (self.server, self.waiting) = (server, waiting)
    }

    func start() -> Bool {
        thread = WorkerThread(name: "ender") { [self] in
            _ = try? waitUntil("the commit waits") { try server.sql(waiting) == "1" }
            _ = try? server.sql(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'holdfast' AND wait_event = 'SyncRep'
                """
            )
        }
        return thread != nil
    }

    func wait() -> Bool { thread?.join(patienceMilliseconds: 60_000) ?? false }
}

func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}
