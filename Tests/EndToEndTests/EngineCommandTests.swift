import Glibc
import Harness
import Testing

/// A bus of several machines: a directory and processes each, and one PostgreSQL.
@Suite(.enabled(if: PostgreSQL.isUsable)) struct EngineCommandTests: SiteMachines {
    private func holdfast(_ machine: HoldfastServer, _ arguments: String...) throws -> (
        exit: ChildProcess.Exit, output: String, error: String
    ) {
        try holdfast(machine, arguments)
    }

    private func holdfast(_ machine: HoldfastServer, _ arguments: [String]) throws -> (
        exit: ChildProcess.Exit, output: String, error: String
    ) {
        let run = try ChildProcess.run(
            try Place.holdfast,
            arguments + ["--config", machine.iniFile],
            directory: machine.directory
        )
        return (run.exit, String(decoding: run.output, as: UTF8.self), run.error)
    }

    @Test func `what one machine publishes, waiting clients of the other get`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let machines = try joined(2, server.options)
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
        let machines = try joined(2, server.options)
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
            // A cursor that this machine cannot judge now is not called unknown.
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

    /// libpq looked these up itself, for as long as name servers take that do not answer.
    @Test func `hosts that the environment or a service names were not looked up like others`()
        throws
    {
        let directory = try TestDirectory()
        try directory.write(
            "[site]\nhost=nowhere.invalid,elsewhere.invalid\nport=1\n",
            to: "services"
        )
        for (options, variables) in [
            ("dbname=site", ["PGHOST": "nowhere.invalid,elsewhere.invalid"]),
            ("service=site", [:]), ("dbname=site", ["PGSERVICE": "site"]),
        ] {
            try directory.write(
                "[fastcgi]\nlisten = \(directory.file("socket"))\n[bus]\ndirectory = \(directory.file("bus"))\n"
                    + "socket = none\n[engine]\npostgresql = \(options)\n",
                to: "holdfast.ini"
            )
            let check = try ChildProcess.run(
                try Place.holdfast,
                ["check", "--config", directory.file("holdfast.ini")],
                directory: directory,
                environment: variables.merging(["PGSERVICEFILE": directory.file("services")]) { $1 }
            )
            #expect(check.exit == .exited(1))
            for host in ["nowhere.invalid", "elsewhere.invalid"] {
                #expect(
                    check.error.contains("the address of host \(host) "),
                    "\(check.error)"
                )
            }
        }
    }

    @Test func `a promoted standby continues, and no gap is reported`() throws {
        let directory = try TestDirectory()
        let primary = try PostgreSQL(
            directory: directory,
            name: "p",
            settings: ["synchronous_standby_names=ANY 1 (s, t)"]
        )
        let standbys = [try primary.standby("s"), try primary.standby("t")]
        let paths = ([primary] + standbys).map(\.path).joined(separator: ",")
        let machines = try joined(2, "host=\(paths) dbname=postgres user=postgres")
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

    @Test func `a publication that may have been committed was said not to be written`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let machine = try joined(1, server.options)[0]
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
        let machine = try joined(1, server.options)[0]
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
        let machine = try joined(1, server.options)[0]
        let unsafe = try holdfast(machine, "check")
        #expect(unsafe.exit == .exited(1))
        #expect(unsafe.error.contains("fsync = off"), "\(unsafe.error)")
        try server.sql("CREATE ROLE nobody_special LOGIN")
        try machine.writeSettings(
            Self.section("host=\(server.path) dbname=postgres user=nobody_special")
        )
        let rights = try holdfast(machine, "check")
        #expect(rights.error.contains("GRANT holdfast_machine"), "\(rights.error)")
        // These said what is wrong, and not what to do.
        let status = try holdfast(machine, "engine", "status")
        #expect(status.error.contains("GRANT holdfast_machine"), "\(status.error)")
        try machine.writeSettings(Self.section(server.options) + "schema = nothing\n")
        for arguments in [["check"], ["engine", "status"], ["engine", "join"]] {
            let none = try holdfast(machine, arguments)
            #expect(none.error.contains("holdfast engine init makes one"), "\(none.error)")
        }
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
