import Glibc
import Harness
import Testing

/// A bus of several machines: a directory and processes each, and one PostgreSQL.
@Suite(.enabled(if: PostgreSQL.isUsable)) struct EngineCommandTests {
    private static func section(_ options: String) -> String { SiteMachines.section(options) }

    private func holdfast(_ machine: HoldfastServer, _ arguments: String...) throws -> (
        exit: ChildProcess.Exit, output: String, error: String
    ) {
        let run = try ChildProcess.run(
            try Place.holdfast,
            arguments + ["--config", machine.iniFile],
            directory: machine.directory
        )
        return (run.exit, String(decoding: run.output, as: UTF8.self), run.error)
    }

    private func machines(_ count: Int, _ options: String) throws -> [HoldfastServer] {
        try SiteMachines.joined(count, options)
    }

    private func run(_ machines: [HoldfastServer], _ body: () throws -> Void) throws {
        do {
            for machine in machines { try machine.start() }
            try body()
            for machine in machines { try machine.finish() }
        } catch {
            let logs = machines.map { "\($0.log.suffix(3000))" }.joined(separator: "\n--\n")
            throw HarnessError("\(error)\nlogs:\n\(logs)")
        }
    }

    /// Publishes once, as a publisher does that is told to repeat with its key; returns the id.
    @discardableResult
    private func publish(_ machine: HoldfastServer, _ text: String) throws -> String {
        try waitFor("\(text) is published") {
            let fields = ["Idempotency-Key": text.replacing(" ", with: "-")]
            let answer = try machine.post("/push/news", text, fields: fields)
            return answer.status / 100 == 2 ? try answer.json["id"].string : nil
        }
    }

    private func texts(_ answer: HTTPAnswer) throws -> [String] {
        try answer.json["messages"].array.compactMap { $0["data"].string }
    }

    @Test func `what one machine publishes, waiting clients of the other get`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let machines = try machines(2, server.options)
        try run(machines) {
            let held = try machines[1].hold("/push/news?wait=25")
            try machines[1].waitForHeld(1)
            let id = try publish(machines[0], "hello")
            let answer = try held.answer()
            #expect(try texts(answer) == ["hello"])
            #expect(try answer.json["messages"][0]["id"].string == id)
            #expect(try machines[0].get("/push/-/ready").status == 200)

            // A client goes on at the other machine with its cursor, however far that is.
            var cursor = id
            for number in 0..<30 {
                let (here, there) = (machines[number % 2], machines[(number + 1) % 2])
                try publish(here, "\(number)")
                let next = try there.get("/push/news?since=\(cursor)&wait=25")
                #expect(try texts(next) == ["\(number)"])
                #expect(try next.json["gap"] == .null)
                cursor = try #require(try next.json["cursor"].string)
            }

            try server.sql("BEGIN; SELECT holdfast.publish('news', '\"no\"'); ROLLBACK")
            try server.sql("SELECT holdfast.publish('news', '\"from SQL\"')")
            for machine in machines {
                let next = try machine.get("/push/news?since=\(cursor)&wait=25")
                #expect(try texts(next) == ["from SQL"])
            }

            let status = try holdfast(machines[0], "engine", "status")
            #expect(status.exit == .exited(0))
            for part in ["the site", "machine-0", "this one", "machine-1", "offset 32"] {
                #expect(status.output.contains(part), "\(part): \(status.output)")
            }
            #expect(try holdfast(machines[0], "check").exit == .exited(0))
        }
    }

    @Test func `without the engine subscribers are served, and publishers told to repeat`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let machines = try machines(2, server.options)
        for machine in machines { machine.expectsErrors = true }
        try run(machines) {
            let cursor = try publish(machines[0], "before")
            try waitUntil("it is there") {
                try texts(machines[1].get("/push/news?since=first")).contains("before")
            }
            server.stop()
            let refused = try machines[0].post("/push/news", "lost")
            #expect(refused.status == 503)
            try waitUntil("neither is ready") {
                try machines.allSatisfy { try $0.get("/push/-/ready").status == 503 }
            }
            #expect(try texts(machines[1].get("/push/news?since=first")) == ["before"])
            let held = try machines[1].hold("/push/news?wait=50&since=\(cursor)")
            try machines[1].waitForHeld(1)
            // A cursor that this machine can't judge now is not called unknown.
            let ahead = try machines[1].get("/push/news?since=\(cursor)f")
            #expect(ahead.status == 503)
            let check = try holdfast(machines[0], "check")
            #expect(check.exit == .exited(1))
            #expect(check.error.contains("[engine]"))

            try server.start()
            try publish(machines[0], "after")
            #expect(try texts(held.answer()) == ["after"])
            try waitUntil("both are ready") {
                try machines.allSatisfy { try $0.get("/push/-/ready").status == 200 }
            }
        }
    }

    @Test func `a promoted standby goes on, and nobody is told of a gap`() throws {
        let directory = try TestDirectory()
        let primary = try PostgreSQL(
            directory: directory,
            name: "p",
            settings: ["synchronous_standby_names=ANY 1 (s, t)"]
        )
        let standbys = [try primary.standby("s"), try primary.standby("t")]
        let paths = ([primary] + standbys).map(\.path).joined(separator: ",")
        let machines = try machines(2, "host=\(paths) dbname=postgres user=postgres")
        for machine in machines { machine.expectsErrors = true }
        try run(machines) {
            var cursor = try publish(machines[0], "0")
            for number in 1...5 { try publish(machines[number % 2], "\(number)") }
            try primary.killAll()
            let places = try standbys.map { try $0.sql("SELECT pg_last_wal_receive_lsn()") }
            let newer = try standbys[0].sql(
                "SELECT '\(places[0])'::pg_lsn >= '\(places[1])'::pg_lsn"
            )
            let successor = standbys[newer == "t" ? 0 : 1]
            try standbys[newer == "t" ? 1 : 0].follow(successor)
            try successor.sql("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (s, t)'")
            try successor.promote()
            for number in 6...10 { try publish(machines[number % 2], "\(number)") }
            // What was told to be unknown may be there, too.
            for machine in machines {
                var seen: [String] = []
                let start = cursor
                while seen.last != "10" {
                    let next = try machine.get("/push/news?since=\(cursor)&wait=25")
                    #expect(try next.json["gap"] == .null)
                    seen += try texts(next)
                    cursor = try #require(try next.json["cursor"].string)
                }
                cursor = start
                var distinct: [String] = []
                for text in seen where distinct.last != text { distinct.append(text) }
                #expect(distinct == (1...10).map(String.init))
            }
        }
    }

    @Test func `a log of its own is not given up unasked, and a machine may leave`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let machine = try HoldfastServer()
        try machine.start()
        try publish(machine, "own")
        #expect(try machine.stop() == .exited(0))
        try machine.writeSettings(Self.section(server.options))
        let early = try holdfast(machine, "engine", "join")
        #expect(early.exit == .exited(1))
        #expect(early.error.contains("no bus in schema holdfast"), "\(early.error)")
        #expect(try holdfast(machine, "check").error.contains("no bus in schema holdfast"))
        let printed = try holdfast(machine, "engine", "init")
        #expect(printed.output.contains("CREATE SCHEMA IF NOT EXISTS holdfast"))
        #expect(try holdfast(machine, "engine", "init", "--run").exit == .exited(0))
        #expect(try holdfast(machine, "engine", "init", "--run").exit == .exited(1))
        let refused = try holdfast(machine, "engine", "join")
        #expect(refused.exit == .exited(1))
        #expect(refused.error.contains("has 1 messages of its own"), "\(refused.error)")
        let joined = try holdfast(machine, "engine", "join", "--discard")
        #expect(joined.exit == .exited(0), "\(joined.error)")
        try machine.start()
        try publish(machine, "shared")
        #expect(try texts(machine.get("/push/news?since=first")) == ["shared"])
        let running = try holdfast(machine, "engine", "leave")
        #expect(running.error.contains("stop all of its processes"), "\(running.error)")
        #expect(try machine.stop() == .exited(0))
        let left = try holdfast(machine, "engine", "leave")
        #expect(left.exit == .exited(0), "\(left.error)")
        #expect(try server.sql("SELECT count(*) FROM holdfast.machines") == "0")
        try machine.writeSettings(HoldfastServer.open)
        try machine.start()
        #expect(try texts(machine.get("/push/news?since=first")) == ["shared"])
        try publish(machine, "own again")
        try machine.finish()
        #expect(try server.sql("SELECT last_offset FROM holdfast.head") == "1")
    }

    /// A machine that was a bus by itself, and stopped; the ids of its messages m1 to m3.
    private func formerly(alone options: String) throws -> (HoldfastServer, [String]) {
        let machine = try HoldfastServer()
        try machine.start()
        let ids = try (1...3).map { try publish(machine, "m\($0)") }
        #expect(try machine.stop() == .exited(0))
        try machine.writeSettings(Self.section(options))
        return (machine, ids)
    }

    @Test func `the first machine brings its history, and its clients notice nothing`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let (first, ids) = try formerly(alone: server.options)
        #expect(try holdfast(first, "engine", "init", "--run").exit == .exited(0))
        let asked = try holdfast(first, "engine", "join")
        #expect(asked.exit == .exited(1))
        #expect(asked.error.contains("--adopt makes them the history"), "\(asked.error)")
        #expect(asked.error.contains("--discard drops them"), "\(asked.error)")
        #expect(try holdfast(first, "engine", "join", "--adopt", "--discard").exit != .exited(0))
        let joined = try holdfast(first, "engine", "join", "--adopt", "--name", "one")
        #expect(joined.exit == .exited(0), "\(joined.error)")
        #expect(joined.output.contains("the history of this machine is that of the site now"))
        #expect(joined.output.contains("offset 3"), "\(joined.output)")
        // Once more changes nothing.
        let again = try holdfast(first, "engine", "join", "--adopt")
        #expect(again.exit == .exited(0), "\(again.error)")
        #expect(again.output.contains("machine   one ("), "\(again.output)")

        let (second, _) = try formerly(alone: server.options)
        let refused = try holdfast(second, "engine", "join")
        #expect(!refused.error.contains("--adopt"), "\(refused.error)")
        #expect(refused.error.contains("--discard drops them"), "\(refused.error)")
        let late = try holdfast(second, "engine", "join", "--adopt")
        #expect(late.exit == .exited(1))
        #expect(late.error.contains("machine one is part of the site already"), "\(late.error)")
        let discarded = try holdfast(second, "engine", "join", "--discard", "--name", "two")
        #expect(discarded.exit == .exited(0), "\(discarded.error)")

        try run([first, second]) {
            let rest = try first.get("/push/news?since=\(ids[0])")
            #expect(try texts(rest) == ["m2", "m3"])
            #expect(try rest.json["gap"] == .null)
            let held = try second.hold("/push/news?since=\(ids[2])&wait=25")
            try second.waitForHeld(1)
            try publish(first, "m4")
            let answer = try held.answer()
            #expect(try texts(answer) == ["m4"])
            #expect(try answer.json["gap"] == .null)
            // What the second one never had is told to who asks there.
            let older = try second.get("/push/news?since=\(ids[0])")
            #expect(try texts(older) == ["m4"])
            #expect(try older.json["gap"]["reason"] == "trimmed")
        }
    }

    @Test func `killed while the site adopts its history, a machine joins by another attempt`()
        throws
    {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let (machine, ids) = try formerly(alone: server.options)
        #expect(try holdfast(machine, "engine", "init", "--run").exit == .exited(0))
        try server.withholdCommits()
        let attempt = try ChildProcess(
            try Place.holdfast,
            ["engine", "join", "--adopt", "--config", machine.iniFile],
            name: "attempt",
            directory: directory
        )
        let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%adopt%'"
        // It gives up by itself in five seconds, which leaves the same.
        try waitUntil("PostgreSQL commits") {
            try server.sql("SELECT count(*) > 0 \(waiting)") == "t" || !attempt.running
        }
        attempt.signal(SIGKILL)
        try attempt.wait()
        try server.releaseCommits()
        let joined = try holdfast(machine, "engine", "join")
        #expect(joined.exit == .exited(0), "\(joined.error)")
        #expect(joined.output.contains("the history of this machine is that of the site now"))
        try machine.start()
        let rest = try machine.get("/push/news?since=\(ids[0])")
        #expect(try texts(rest) == ["m2", "m3"])
        #expect(try rest.json["gap"] == .null)
        try publish(machine, "m4")
        let next = try machine.get("/push/news?since=\(ids[2])&wait=25")
        #expect(try texts(next) == ["m4"])
        #expect(try next.json["gap"] == .null)
        try machine.finish()
    }

    @Test func `a machine may leave a site whose engine is gone`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let machine = try machines(1, server.options)[0]
        try machine.start()
        try publish(machine, "kept")
        #expect(try machine.stop() == .exited(0))
        server.stop()
        let left = try holdfast(machine, "engine", "leave")
        #expect(left.exit == .exited(0), "\(left.error)")
        #expect(left.error.contains("still lists this machine"), "\(left.error)")
        try machine.writeSettings(HoldfastServer.open)
        try machine.start()
        #expect(try texts(machine.get("/push/news?since=first")) == ["kept"])
        try machine.finish()
    }

    @Test func `a publication that may have been committed was said not to be written`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let machine = try machines(1, server.options)[0]
        machine.expectsErrors = true
        try run([machine]) {
            try publish(machine, "before")
            try server.withholdCommits()
            let answer = try machine.post("/push/news", "in doubt")
            #expect(answer.status == 503)
            #expect(try answer.json["code"].string == "outcome_unknown", "\(answer.text)")
            try server.releaseCommits()
            try waitUntil("it is there") {
                try texts(machine.get("/push/news?since=first")).contains("in doubt")
            }
        }
    }

    @Test func `an epoch may be asked for after all was restored`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let machine = try machines(1, server.options)[0]
        try run([machine]) {
            let id = try publish(machine, "before")
            let begun = try holdfast(machine, "engine", "new-epoch")
            #expect(begun.exit == .exited(0), "\(begun.error)")
            try waitUntil("it is told") {
                let next = try machine.get("/push/news?since=\(id)")
                return try next.json["gap"]["reason"].string == "restarted"
            }
        }
    }

    @Test func `check says what is wrong with the engine`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory, settings: ["fsync=off"])
        let machine = try machines(1, server.options)[0]
        let unsafe = try holdfast(machine, "check")
        #expect(unsafe.exit == .exited(1))
        #expect(unsafe.error.contains("fsync = off"), "\(unsafe.error)")
        try server.sql("CREATE ROLE nobody_special LOGIN")
        try machine.writeSettings(
            Self.section("host=\(server.path) dbname=postgres user=nobody_special")
        )
        let rights = try holdfast(machine, "check")
        #expect(rights.error.contains("GRANT holdfast_machine"), "\(rights.error)")
        try server.sql("UPDATE holdfast.site SET format = 99")
        try machine.writeSettings(Self.section(server.options))
        #expect(try holdfast(machine, "check").error.contains("format 99"))
        for (line, sentence) in [
            ("postgresql = password=x host=a", ".pgpass"), ("schema = A", "name of a schema"),
            ("keep = 5m", "out of range"),
        ] {
            try machine.writeSettings(HoldfastServer.open + "[engine]\n\(line)\n")
            let check = try holdfast(machine, "check")
            #expect(check.exit == .exited(1))
            #expect(check.error.contains(sentence), "\(check.error)")
        }
    }
}
