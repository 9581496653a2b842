import Harness
import Testing

/// What operators see of a site of several machines, and load balancers of one that lags.
@Suite(.serialized, .enabled(if: PostgreSQL.isUsable)) struct EngineStatusTests: SiteMachines {
    /// The status's member `engine`, when it is known.
    private func engine(
        _ what: String,
        of machine: HoldfastServer,
        _ holds: (JSON) throws -> Bool
    ) throws -> JSON {
        try waitFor(what) {
            let engine = try machine.status()["engine"]
            return try holds(engine) ? engine : nil
        }
    }

    /// The second of two machines, started, without a process that applies until the lock is released.
    private func withStuckMachine(
        maxLag: String,
        _ body: (_ other: HoldfastServer, _ stuck: HoldfastServer, HeldLock) throws -> Void
    ) throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory, settings: ["fsync=off"])
        let machines = try joined(2, server.options)
        try run(machines) {
            try publish(machines[0], "before")
            try waitUntil("it is there") { try machines[1].texts("news") == ["before"] }
            #expect(try machines[1].stop() == .exited(0))
            let lock = try HeldLock(machines[1].directory.file("bus/apply"))
            try machines[1].writeSettings(
                Self.section(server.options, engine: "max_lag = \(maxLag)")
            )
            try machines[1].start()
            try body(machines[0], machines[1], lock)
        }
    }

    @Test func `operators see head, lag and machines in status, metrics and commands`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory, settings: ["fsync=off"])
        let machines = try joined(2, server.options)
        try run(machines) {
            try publish(machines[0], "hello")
            let head = try #require(Int(server.sql("SELECT seq FROM holdfast.head")))
            let known = try engine("the other machine is up to date", of: machines[1]) {
                $0["applied"].number == Double(head) && $0["lag_milliseconds"] == 0
                    && $0["machines"].array.count == 2 && $0["head"].number == Double(head)
            }
            #expect(known["publishing"] == true && known["following"] == true)
            #expect(known["site"] == "the site" && known["machines_away"] == 0)
            #expect(known["applied_messages"] == 1 && known["groups"] == 0)
            let own = known["machines"].array.first { $0["id"] == known["machine"] }
            #expect(own?["name"] == "machine-1")
            #expect(try machines[1].status()["limits"]["lag_seconds"] == 10)
            #expect(try machines[1].status()["epoch"] == known["epoch"])

            let metrics = try machines[0].metrics()
            // More than one where a slow machine made the publisher repeat it.
            #expect(metrics["holdfast_engine_groups_total"] >= 1)
            #expect(metrics["holdfast_engine_publishing"] == 1)
            let text = try machines[0].get(
                "/push/-/metrics",
                params: [("HOLDFAST_OPERATOR", "1")]
            ).text
            #expect(!text.contains("machine-"))
            // For operators only, and never how the engine is reached.
            for target in ["-/status", "-/metrics", "-/status?stream=sse"] {
                let refused = try machines[0].get("/push/\(target)")
                #expect(refused.status == 403 && !refused.text.contains("machine-"))
            }
            let status = try machines[0].get(
                "/push/-/status",
                params: [("HOLDFAST_OPERATOR", "1")]
            ).text
            #expect(!status.contains(directory.path) && !status.contains("postgres"))

            _ = try machines[1].busClient()
            try waitUntil("the commands show it") {
                let shown = try machines[1].command("status").output
                let top = try machines[1].command("top", "--count", "1").output
                return top.contains("  lag 0.0 s")
                    && [
                        "the site, 2 machines, epoch ", "group \(head); this machine is up to date",
                        "machine-0 (", ", this one", "up to date",
                    ].allSatisfy { shown.contains($0) }
            }
            // PostgreSQL knows a machine as it was when it was seen last.
            try waitUntil("the engine says the same") {
                let asked = try machines[1].command("engine", "status").output
                return [
                    "the site", "group \(head)", "machine-0 (", ", this one", "up to date",
                ].allSatisfy { asked.contains($0) } && !asked.contains("behind")
            }
        }
    }

    @Test func `without an engine, nothing is said of one`() throws {
        try HoldfastServer.withBus { server in
            #expect(try server.status()["engine"] == .null)
            #expect(try server.status()["limits"]["lag_seconds"] == .null)
            #expect(try server.metrics()["holdfast_engine_head"] == -1)
            let status = try server.command("status").output
            #expect(!status.contains("engine") && !status.contains("MACHINE"))
            #expect(try !server.command("top", "--count", "1").output.contains("lag"))
        }
    }

    @Test func `a machine that lags is not ready, says why, and is again when it is up to date`()
        throws
    {
        try withStuckMachine(maxLag: "1s") { other, stuck, lock in
            _ = try engine("it is up to date", of: stuck) { $0["lag_milliseconds"] == 0 }
            try publish(other, "after")
            let answer = try waitFor("it is not ready") {
                let answer = try stuck.get("/push/-/ready")
                return answer.status == 503 ? answer : nil
            }
            #expect(
                answer.text.contains(
                    "not ready: this machine lags: it has lacked messages of other machines for more than 1 s"
                ),
                "\(answer.text)"
            )
            let behind = try engine("its head is known", of: stuck) {
                ($0["lag_milliseconds"].number ?? 0) > 1000
            }
            #expect(behind["following"] == .null && behind["publishing"] == true)
            #expect(try stuck.status()["processes"][0]["ready"] == false)
            #expect(try stuck.texts("news") == ["before"])
            _ = try stuck.busClient()
            let shown = try stuck.command("status").output
            #expect(shown.contains("this machine has not been up to date for "), "\(shown)")
            #expect(shown.contains("not ready"))
            lock.release()
            try waitUntil("it is ready") { try stuck.get("/push/-/ready").status == 200 }
            #expect(try stuck.texts("news") == ["before", "after"])
        }
    }

    @Test func `messages of SQL that no machine takes were in no figure`() throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory, settings: ["fsync=off"])
        let machines = try joined(1, server.options)
        try run(machines) {
            #expect(try machines[0].stop() == .exited(0))
            // No process applies until it is released.
            let lock = try HeldLock(machines[0].directory.file("bus/apply"))
            try machines[0].start()
            for number in 1...3 { try server.sql("SELECT holdfast.publish('news', '\(number)')") }
            let waiting = try engine("they are counted", of: machines[0]) {
                ($0["outbox_milliseconds"].number ?? 0) > 1000
            }
            #expect(waiting["outbox"] == 3)
            #expect(try machines[0].metrics()["holdfast_engine_outbox_seconds"] > 1)
            _ = try machines[0].busClient()
            let shown = try machines[0].command("status").output
            #expect(shown.contains("about 3 messages of SQL not taken by any machine"), "\(shown)")
            lock.release()
            let taken = try engine("they are taken", of: machines[0]) { $0["outbox"] == 0 }
            #expect(taken["outbox_milliseconds"] == 0)
            #expect(try machines[0].get("/push/news?since=first").json["messages"].array.count == 3)
        }
    }

    @Test(.enabled(if: Front.areUsable, "nginx or curl is not installed"))
    func `the doctor tells the lag in a sentence`() throws {
        try withStuckMachine(maxLag: "1s") { other, stuck, lock in
            _ = try engine("it is up to date", of: stuck) { $0["lag_milliseconds"] == 0 }
            _ = try stuck.busClient()
            try WebServer.with(.nginx, before: stuck) { web in
                func doctor() throws -> (exit: ChildProcess.Exit, output: String, error: String) {
                    let url = "http://127.0.0.1:\(web.port)/push/"
                    return try stuck.command("doctor", url, "--patience", "2")
                }
                try publish(other, "after")
                try waitUntil("it is not ready") { try stuck.get("/push/-/ready").status == 503 }
                let ill = try doctor()
                #expect(ill.exit == .exited(1))
                #expect(ill.output.contains("Holdfast is not ready: this machine lags"))
                #expect(
                    ill.output.contains(/machines +This machine is .*, and has not been up/),
                    "\(ill.output)\(ill.error)"
                )
                lock.release()
                try waitUntil("it is ready") { try stuck.get("/push/-/ready").status == 200 }
                _ = try engine("it is up to date", of: stuck) {
                    $0["lag_milliseconds"] == 0 && $0["following"] == true
                }
                let well = try doctor()
                #expect(
                    well.output.contains(/machines +This machine is up to date/),
                    "\(well.output)\(well.error)"
                )
            }
        }
    }

    @Test func `a machine that was away is not ready before it has what it missed`() throws {
        // However long that took, by the bound alone it would be ready.
        try withStuckMachine(maxLag: "1h") { other, stuck, lock in
            #expect(try stuck.stop() == .exited(0))
            try publish(other, "after")
            try stuck.launch()
            try waitUntil("it catches up") {
                guard let answer = try? stuck.get("/push/-/ready") else { return false }
                return answer.status == 503 && answer.text.contains("is catching up")
            }
            lock.release()
            try stuck.waitUntilReady()
            try waitUntil("it has all") { try stuck.texts("news") == ["before", "after"] }
        }
    }

    @Test(.enabled(if: Tool.usable(.chromium, .nginx), "chromium or nginx is not installed"))
    func `the status page shows the machines`() throws {
        try withStuckMachine(maxLag: "1s") { other, stuck, lock in
            let options = ["--parameters", "fastcgi_param HOLDFAST_OPERATOR 1;"]
            try WebServer.with(.nginx, before: stuck, options: options) { web throws in
                let browser = try Browser(directory: stuck.directory)
                let page = try browser.open("http://127.0.0.1:\(web.port)/push/-/status")
                try page.waitForText("This machine is up to date.")
                try page.waitForText("machine-1 (this one)")
                try page.waitForText("Site “the site”, group ")
                func state() throws -> JSON {
                    try page.evaluate("document.getElementById('site-state').dataset.is")
                }
                #expect(try state() == "right")
                try publish(other, "after")
                try page.waitForText("This machine is behind the others, for ")
                try waitUntil("that is wrong") { try state() == "wrong" }
                lock.release()
                try page.waitForText("This machine is up to date.")
            }
        }
    }
}
