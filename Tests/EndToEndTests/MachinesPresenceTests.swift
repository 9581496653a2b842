import Foundation
import Harness
import Testing

/// The members of a channel on several machines: each machine judges its own members, all list all.
@Suite(.enabled(if: PostgreSQL.isUsable)) struct MachinesPresenceTests {
    /// Machines of one site; the database's role of each is `machine0`, and so on.
    private final class Site {
        let directory: TestDirectory
        let server: PostgreSQL
        private(set) var machines: [HoldfastServer] = []

        init(_ count: Int) throws {
            directory = try TestDirectory()
            // What a loss of power does is PostgreSQL's affair, and a loaded disk is slow.
            server = try PostgreSQL(directory: directory, settings: ["fsync=off"])
            for number in 0..<count {
                machines.append(try HoldfastServer(settings(of: number)))
                machines[number].expectsErrors = true
            }
            try server.sql("CREATE ROLE holdfast_machine NOLOGIN")
            for number in 0..<count {
                try server.sql("CREATE ROLE machine\(number) LOGIN IN ROLE holdfast_machine")
            }
            let made = try ChildProcess.run(
                try Place.holdfast,
                ["engine", "init", "--config", machines[0].iniFile],
                directory: directory
            )
            try server.sql(String(decoding: made.output, as: UTF8.self))
            for machine in machines { try engine(machine, "join") }
        }

        func settings(of machine: Int) -> String {
            """
            \(HoldfastServer.open)stream_life = 1h
            [engine]
            postgresql = host=\(server.path) dbname=postgres user=machine\(machine)
            connect_timeout = 5s
            [presence chat]
            grace = 2s

            """
        }

        func engine(_ machine: HoldfastServer, _ arguments: String...) throws {
            let run = try ChildProcess.run(
                try Place.holdfast,
                ["engine"] + arguments + ["--config", machine.iniFile],
                directory: directory
            )
            guard run.exit == .exited(0) else { throw HarnessError(run.error) }
        }

        func run(_ body: () throws -> Void) throws {
            do {
                for machine in machines { try machine.start() }
                try body()
                for machine in machines where machine.process != nil { try machine.finish() }
            } catch {
                let logs = machines.map { "\($0.log.suffix(3000))" }.joined(separator: "\n--\n")
                throw HarnessError("\(error)\nlogs:\n\(logs)")
            }
        }

        /// Cuts a machine off from the engine.
        func cutOff(_ machine: Int) throws {
            try server.sql("ALTER ROLE machine\(machine) NOLOGIN")
            try server.sql(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'machine\(machine)'
                """
            )
        }

        func reconnect(_ machine: Int) throws {
            try server.sql("ALTER ROLE machine\(machine) LOGIN")
        }

        /// How many messages the site has had.
        var count: Int {
            get throws {
                try #require(Int(try server.sql("SELECT last_offset FROM holdfast.head")))
            }
        }
    }

    private func names(_ server: HoldfastServer) throws -> [String] {
        try server.members("chat").compactMap { $0["name"].string }.sorted()
    }

    private func wait(_ what: String, _ servers: [HoldfastServer], _ expected: [String]) throws {
        // A machine is missed after half a minute, and a loaded one is slow.
        try waitUntil(what, seconds: 180) {
            try servers.allSatisfy { try names($0) == expected }
        }
    }

    /// A subscriber that stays until it is closed.
    private func come(_ name: String, to server: HoldfastServer) throws -> FastCGIPeer {
        let peer = try server.peer()
        try peer.send(.events("/push/chat?since=now&name=\(name)"))
        return peer
    }

    @Test func `a member that joins or leaves on one machine does so on all, by one message`()
        throws
    {
        let site = try Site(3)
        try site.run {
            let ada = try come("Ada", to: site.machines[0])
            try wait("Ada is there", site.machines, ["Ada"])
            let since = try site.machines[0].members("chat")[0]["since"].string
            let cursor = try site.machines[2].cursor("~presence/chat")
            let bob = try come("Bob", to: site.machines[1])
            try wait("Bob is there", site.machines, ["Ada", "Bob"])
            let told = try site.machines[2].get("/push/~presence/chat?since=\(cursor)")
            let message = try told.json["messages"][0]
            #expect(message["type"] == "join" && message["data"]["name"] == "Bob")
            #expect(try site.count == 2)

            // She comes to another machine, and leaves the first.
            let again = try come("Ada", to: site.machines[1])
            try waitUntil("the other machine has her, too") { try site.count == 3 }
            ada.socket.close()
            try waitUntil("the first has told of it") { try site.count == 4 }
            try wait("she is still there", site.machines, ["Ada", "Bob"])
            for machine in site.machines {
                let member = try machine.members("chat").first { $0["name"] == "Ada" }
                #expect(member?["since"].string == since)
            }
            again.socket.close()
            try wait("she has left", site.machines, ["Bob"])
            #expect(try site.count == 5)
            bob.socket.close()
            try wait("all have left", site.machines, [])
            #expect(try site.count == 6)
        }
    }

    @Test func `members of a process that was killed leave, told by another of its machine`() throws
    {
        let site = try Site(2)
        try site.run {
            let second = try HoldfastServer(
                site.settings(of: 0),
                bus: [
                    "directory = \(site.machines[0].directory.file("bus"))",
                    "socket = \(site.machines[0].busSocket)",
                ]
            )
            second.expectsErrors = true
            try second.start()
            try waitUntil("the processes know each other") {
                try second.metrics()["holdfast_processes"] == 2
            }
            let ada = try come("Ada", to: second)
            let eve = try come("Eve", to: site.machines[0])
            let bob = try come("Bob", to: site.machines[1])
            try wait("all are there", site.machines, ["Ada", "Bob", "Eve"])
            try second.kill()
            ada.socket.close()
            try wait("Ada has left", site.machines, ["Bob", "Eve"])
            #expect(try site.count == 4)
            for peer in [eve, bob] { peer.socket.close() }
        }
    }

    @Test func `members of a machine that is cut off leave once, and join again when it is back`()
        throws
    {
        let site = try Site(3)
        try site.run {
            let ada = try come("Ada", to: site.machines[0])
            let bob = try come("Bob", to: site.machines[1])
            try wait("both are there", site.machines, ["Ada", "Bob"])
            try site.cutOff(0)
            try wait("Ada has left", Array(site.machines[1...]), ["Bob"])
            // The machine itself has her still.
            #expect(try names(site.machines[0]) == ["Ada", "Bob"])
            try site.reconnect(0)
            try wait("Ada is there again", site.machines, ["Ada", "Bob"])
            #expect(try site.count == 4)

            // The whole machine ends, and does not come back.
            try site.machines[0].kill()
            ada.socket.close()
            try wait("Ada has left", Array(site.machines[1...]), ["Bob"])
            #expect(try site.count == 5)

            // One that leaves the site is not waited for.
            #expect(try site.machines[1].stop() == .exited(0))
            bob.socket.close()
            try site.engine(site.machines[1], "leave")
            try wait("Bob has left", [site.machines[2]], [])
            #expect(try site.count == 6)
        }
    }

    @Test func `a machine whose log begins anew lists the others' members again`() throws {
        let site = try Site(2)
        try site.run {
            let ada = try come("Ada", to: site.machines[0])
            try wait("Ada is there", site.machines, ["Ada"])
            let since = try site.machines[0].members("chat")[0]["since"].string
            #expect(try site.machines[0].post("/push/other", "x").status / 100 == 2)
            #expect(try site.machines[1].stop() == .exited(0))
            // Longer ago than the engine keeps messages.
            try site.server.sql(
                "DELETE FROM holdfast.log WHERE seq < (SELECT seq FROM holdfast.head)"
            )
            for name in ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm", "wake"] {
                let path = site.machines[1].directory.file("bus/\(name)")
                try? FileManager.default.removeItem(atPath: path)
            }
            try site.machines[1].start()
            try wait("Ada is listed again", site.machines, ["Ada"])
            #expect(try site.machines[1].members("chat")[0]["since"].string == since)
            #expect(try site.count == 3)
            ada.socket.close()
            try wait("Ada has left", site.machines, [])
        }
    }
}
