import Glibc
import Harness
import Testing

/// Machines that become part of a site, and that are none any more.
@Suite(.enabled(if: PostgreSQL.isUsable)) struct EngineMembershipCommandTests: SiteMachines {
    /// A machine that was a bus of its own, and stopped; the ids of its messages m1 to m3.
    private func formerly(alone options: String) throws -> (HoldfastServer, [String]) {
        let machine = try HoldfastServer()
        try machine.start()
        let ids = try (1...3).map { try publish(machine, "m\($0)") }
        #expect(try machine.stop() == .exited(0))
        try machine.writeSettings(Self.section(options))
        return (machine, ids)
    }

    /// A join that is killed while PostgreSQL has not committed what this function does.
    private func killed(
        _ machine: HoldfastServer,
        joining option: String,
        in function: String,
        of server: PostgreSQL
    ) throws {
        try server.withholdCommits()
        let attempt = try ChildProcess(
            try Place.holdfast,
            ["engine", "join", option, "--config", machine.iniFile],
            name: "attempt",
            directory: machine.directory
        )
        let waiting = "wait_event = 'SyncRep' AND query LIKE '%\(function)%'"
        // It gives up by itself in five seconds, which leaves the same.
        try waitUntil("PostgreSQL commits") {
            try server.sql("SELECT count(*) > 0 FROM pg_stat_activity WHERE \(waiting)") == "t"
                || !attempt.running
        }
        attempt.signal(SIGKILL)
        try attempt.wait()
        try server.releaseCommits()
    }

    @Test func `a log of its own is not given up unasked, and a machine may leave`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let machine = try HoldfastServer()
        try machine.start()
        try publish(machine, "own")
        #expect(try machine.stop() == .exited(0))
        try machine.writeSettings(Self.section(server.options))
        let early = try machine.command("engine", "join")
        #expect(early.exit == .exited(1))
        #expect(early.error.contains("no bus in schema holdfast"), "\(early.error)")
        #expect(try machine.command("check").error.contains("no bus in schema holdfast"))
        let printed = try machine.command("engine", "init")
        #expect(printed.output.contains("CREATE SCHEMA IF NOT EXISTS holdfast"))
        #expect(try machine.command("engine", "init", "--run").exit == .exited(0))
        #expect(try machine.command("engine", "init", "--run").exit == .exited(1))
        // It said nothing of what is to be done before serve starts.
        let next = try machine.command("check")
        #expect(next.exit == .exited(0) && next.output.contains("no problems"), "\(next.error)")
        #expect(next.error.contains("[engine] this machine is not part of a site; holdfast engine"))
        let refused = try machine.command("engine", "join")
        #expect(refused.exit == .exited(1))
        #expect(refused.error.contains("has 1 message of its own"), "\(refused.error)")
        let joined = try machine.command("engine", "join", "--discard")
        #expect(joined.exit == .exited(0), "\(joined.error)")
        try machine.start()
        try publish(machine, "shared")
        #expect(try texts(machine.get("/push/news?since=first")) == ["shared"])
        let running = try machine.command("engine", "leave")
        #expect(running.error.contains("stop all of its processes"), "\(running.error)")
        #expect(try machine.stop() == .exited(0))
        let left = try machine.command("engine", "leave")
        #expect(left.exit == .exited(0), "\(left.error)")
        #expect(try server.sql("SELECT count(*) FROM holdfast.machines") == "0")
        try machine.writeSettings(HoldfastServer.open)
        try machine.start()
        #expect(try texts(machine.get("/push/news?since=first")) == ["shared"])
        try publish(machine, "own again")
        try machine.finish()
        #expect(try server.sql("SELECT last_offset FROM holdfast.head") == "1")
    }

    @Test func `the first machine brings its history, and its clients notice nothing`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let (first, ids) = try formerly(alone: server.options)
        #expect(try first.command("engine", "init", "--run").exit == .exited(0))
        let asked = try first.command("engine", "join")
        #expect(asked.exit == .exited(1))
        #expect(asked.error.contains("--adopt makes them the history"), "\(asked.error)")
        #expect(asked.error.contains("--discard drops them"), "\(asked.error)")
        #expect(try first.command("engine", "join", "--adopt", "--discard").exit != .exited(0))
        let joined = try first.command("engine", "join", "--adopt", "--name", "one")
        #expect(joined.exit == .exited(0), "\(joined.error)")
        #expect(joined.output.contains("the history of this machine is that of the site now"))
        #expect(joined.output.contains("offset 3"), "\(joined.output)")
        #expect(joined.output.contains("s ago, up to date\n"), "\(joined.output)")
        // Once more changes nothing.
        let again = try first.command("engine", "join", "--adopt")
        #expect(again.exit == .exited(0), "\(again.error)")
        #expect(again.output.contains("machine   one ("), "\(again.output)")

        let (second, _) = try formerly(alone: server.options)
        let refused = try second.command("engine", "join")
        #expect(!refused.error.contains("--adopt"), "\(refused.error)")
        #expect(refused.error.contains("--discard drops them"), "\(refused.error)")
        let late = try second.command("engine", "join", "--adopt")
        #expect(late.exit == .exited(1))
        #expect(late.error.contains("machine one is part of the site already"), "\(late.error)")
        let discarded = try second.command("engine", "join", "--discard", "--name", "two")
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
            // What the second one never had is reported to clients that ask there.
            let older = try second.get("/push/news?since=\(ids[0])")
            #expect(try texts(older) == ["m4"])
            #expect(try older.json["gap"]["reason"] == "trimmed")
        }
    }

    @Test func `what a machine had given up was not adopted, and that was not reported`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let (machine, _) = try formerly(alone: server.options)
        #expect(try machine.command("engine", "init", "--run").exit == .exited(0))
        #expect(try machine.command("engine", "join", "--discard").exit == .exited(0))
        let refused = try machine.command("engine", "join", "--adopt")
        #expect(refused.exit == .exited(1), "\(refused.output)")
        #expect(refused.error.contains("join --discard has given up"), "\(refused.error)")
        // What it is told to do.
        #expect(refused.error.contains("holdfast engine leave"), "\(refused.error)")
        #expect(try machine.command("engine", "leave").exit == .exited(0))
        let adopted = try machine.command("engine", "join", "--adopt")
        #expect(adopted.exit == .exited(0), "\(adopted.error)")
        try machine.start()
        #expect(try texts(machine.get("/push/news?since=first")) == ["m1", "m2", "m3"])
        try machine.finish()
    }

    @Test func `a member that was to adopt was told nothing of it`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let (machine, _) = try formerly(alone: server.options)
        #expect(try machine.command("engine", "init", "--run").exit == .exited(0))
        #expect(try machine.command("engine", "join", "--discard").exit == .exited(0))
        try machine.start()
        try publish(machine, "shared")
        #expect(try machine.stop() == .exited(0))
        let again = try machine.command("engine", "join", "--adopt")
        #expect(again.exit == .exited(0), "\(again.error)")
        #expect(again.output.contains("nothing to adopt"), "\(again.output)")
    }

    @Test func `killed while the site adopts its history, a machine joins by another attempt`()
        throws
    {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let (machine, ids) = try formerly(alone: server.options)
        #expect(try machine.command("engine", "init", "--run").exit == .exited(0))
        try killed(machine, joining: "--adopt", in: "adopt", of: server)
        let joined = try machine.command("engine", "join")
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

    @Test func `killed while the site lists it, a machine was a second one in its next attempt`()
        throws
    {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let (machine, _) = try formerly(alone: server.options)
        #expect(try machine.command("engine", "init", "--run").exit == .exited(0))
        try killed(machine, joining: "--discard", in: "enlist", of: server)
        try waitUntil("it is listed") {
            try server.sql("SELECT count(*) FROM holdfast.machines") == "1"
        }
        #expect(try machine.command("check").error.contains("engine join was interrupted"))
        // Nothing is given up before the site has the machine.
        let again = try machine.command("engine", "join")
        #expect(again.error.contains("has 3 messages of its own"), "\(again.error)")
        let joined = try machine.command("engine", "join", "--discard")
        #expect(joined.exit == .exited(0), "\(joined.error)")
        #expect(try server.sql("SELECT count(*) FROM holdfast.machines") == "1")
        try machine.start()
        try publish(machine, "shared")
        #expect(try texts(machine.get("/push/news?since=first")) == ["shared"])
        try machine.finish()
    }

    @Test func `a machine that is not part of a site may leave it, and bring its history`()
        throws
    {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let (machine, ids) = try formerly(alone: server.options)
        #expect(try machine.command("engine", "init", "--run").exit == .exited(0))
        #expect(try machine.command("engine", "join", "--adopt").exit == .exited(0))
        let id = try server.sql("SELECT id FROM holdfast.machines")
        server.stop()
        let left = try machine.command("engine", "leave")
        #expect(left.exit == .exited(0), "\(left.error)")
        #expect(left.error.contains("still lists this machine (\(id))"), "\(left.error)")
        try server.start()
        let late = try machine.command("engine", "join", "--adopt")
        #expect(late.exit == .exited(1))
        #expect(late.error.contains("is part of the site already"), "\(late.error)")
        #expect(late.error.contains("--discard drops what this machine has"), "\(late.error)")
        #expect(try machine.command("engine", "leave").error.contains("not part of a site"))
        let removed = try machine.command("engine", "leave", "--machine", id)
        #expect(removed.exit == .exited(0), "\(removed.error)")
        // Nothing was published there, so that the site takes the same history once more.
        let asked = try machine.command("engine", "join")
        #expect(asked.error.contains("--adopt makes them the history"), "\(asked.error)")
        let joined = try machine.command("engine", "join", "--adopt")
        #expect(joined.exit == .exited(0), "\(joined.error)")
        try machine.start()
        let rest = try machine.get("/push/news?since=\(ids[0])")
        #expect(try texts(rest) == ["m2", "m3"])
        #expect(try rest.json["gap"]["reason"] == "restarted")
        try machine.finish()
    }

    @Test func `a machine may leave a site whose engine is gone`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let machine = try joined(1, server.options)[0]
        try machine.start()
        try publish(machine, "kept")
        #expect(try machine.stop() == .exited(0))
        server.stop()
        let left = try machine.command("engine", "leave")
        #expect(left.exit == .exited(0), "\(left.error)")
        #expect(left.error.contains("still lists this machine"), "\(left.error)")
        try machine.writeSettings(HoldfastServer.open)
        try machine.start()
        #expect(try texts(machine.get("/push/news?since=first")) == ["kept"])
        try machine.finish()
    }
}
