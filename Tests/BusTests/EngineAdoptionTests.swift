import Bus
import Channels
import Engine
import Foundation
import Harness
import Testing

/// A machine that was a bus of its own becomes the first one of a site, with all that its clients know.
@Suite(.serialized, .enabled(if: PostgreSQL.isUsable)) struct EngineAdoptionTests {
    /// A machine by itself, with a message in each of two epochs, and one that is deleted; what it is started with as a
    /// machine of the site, and the ids of its messages.
    private func machine(_ site: EngineSite, _ name: String = "1") throws -> (
        BusSettings, [Channels.Cursor]
    ) {
        let settings = site.settings(name)
        var alone = settings
        alone.engine = nil
        let first = LogProbe(alone)
        var ids = [first.append(draft("a", "1")).id, first.append(draft("b", "2")).id]
        first.stop()
        _ = try LogFiles.beginEpoch(alone)
        let second = LogProbe(alone)
        ids.append(second.append(draft("a", "3")).id)
        second.publish(dropping: ["b"])
        second.stop()
        return (settings, ids.compactMap { $0 })
    }

    private func adopt(_ site: EngineSite, _ settings: BusSettings) throws {
        let engine = try #require(settings.engine)
        try EngineAdoption.run(
            settings,
            engine,
            site: try site.id,
            machineName: "name",
            say: { Issue.record("\($0)") }
        )
    }

    private func expectWhole(_ probe: LogProbe, _ ids: [Channels.Cursor]) {
        #expect(probe.read(["a"], .first).messages.map(\.text) == ["1", "3"])
        #expect(probe.read(["a"], .first).messages.map(\.epoch) == [ids[0].epoch, ids[2].epoch])
        let page = probe.read(["a"], .after(ids[0].offset))
        #expect(page.messages.map(\.text) == ["3"])
        #expect(page.gap == nil)
        #expect(probe.read(["b"], .after(ids[0].offset)).gap == .deleted)
    }

    /// As a machine without a site judges them.
    private func expectJudgement(_ probe: LogProbe, _ ids: [Channels.Cursor]) {
        let (now, head) = (probe.now, probe.now.head)
        #expect(now.epochs?.verdict(on: ids[2], head: head) == .valid(ids[2].offset))
        #expect(
            now.epochs?.verdict(on: ids[1], head: head) == .restarted(resume: ids[1].offset)
        )
    }

    @Test func `cursors stay valid, and a second machine begins where the first one ended`() throws
    {
        let site = try EngineSite()
        let (settings, ids) = try machine(site)
        try adopt(site, settings)
        let one = site.start(settings)
        #expect(one.now.head == Offset(4))
        expectWhole(one, ids)
        expectJudgement(one, ids)
        let two = site.start(try site.machine("2"))
        #expect(two.now.head == Offset(4))
        for probe in [one, two] {
            probe.wait("the site's own epoch") { $0.epochs?.stretches.count == 3 }
        }
        #expect(two.now.epochs == one.now.epochs)
        expectJudgement(two, ids)
        // What it lacks is reported, and only to readers that ask for it.
        #expect(two.read(["a"], .after(ids[0].offset)).gap == .trimmed)
        #expect(two.read(["a"], .after(Offset(4))).gap == nil)
        let id = try #require(two.publish(draft("a", "5")).id)
        #expect(id.offset == Offset(5))
        one.wait(for: "5")
        let page = one.read(["a"], .after(ids[2].offset))
        #expect(page.messages.map(\.text) == ["5"])
        #expect(page.gap == nil)
        one.stop()
        two.stop()
    }

    @Test func `killed after any step, it is repeated and comes to the same end`() throws {
        for steps in 1...3 {
            let site = try EngineSite()
            let (settings, ids) = try machine(site)
            let id = try site.id
            let history = try EngineAdoption.begin(
                settings,
                site: id,
                machine: "machine",
                say: { Issue.record("\($0)") }
            )
            #expect(history.head == 4)
            #expect(history.epochs.count == 2)
            var position: EnginePosition?
            if steps > 1 {
                position = try EngineAdministration.adopt(
                    site.server.options,
                    schema: "holdfast",
                    site: id,
                    machine: "machine",
                    machineName: "name",
                    history: history
                )
            }
            if steps > 2, let position {
                try EngineAdoption.attach(settings, history, at: position, of: id)
            }
            // Until it is repeated, no process takes the log for that of a member.
            let early = LogProbe(settings)
            early.wait("it is refused") { !$0.unavailable.isEmpty }
            #expect(early.now.unavailable.first?.contains("not part of a site") == true)
            early.stop()
            var other: LogProbe?
            if steps > 1 {
                // The site has its history by now, and goes on without the machine.
                let probe = site.start(try site.machine("2"))
                probe.publish(draft("a", "5"))
                other = probe
            }
            if steps == 3 {
                // The log is part of the site, which is all that is left to be said.
                #expect(try EngineFiles.place(settings)?.site == id)
                try EngineMembership(site: id, machine: "machine").write(settings)
            } else {
                try adopt(site, settings)
            }
            #expect(
                EngineMembership.read(settings) == EngineMembership(site: id, machine: "machine")
            )
            let one = site.start(settings)
            one.publish(draft("a", "6"))
            let rest = one.read(["a"], .after(ids[2].offset))
            #expect(rest.messages.map(\.text) == (steps > 1 ? ["5", "6"] : ["6"]))
            #expect(rest.gap == nil)
            #expect(one.read(["a"], .first).messages.first?.text == "1")
            expectJudgement(one, ids)
            if let other {
                other.wait(for: "6")
                #expect(other.now.epochs == one.now.epochs)
                other.stop()
            }
            one.stop()
        }
    }

    @Test func `a copy of the first machine's log brings the long history along`() throws {
        let site = try EngineSite()
        let (settings, ids) = try machine(site)
        try adopt(site, settings)
        let one = site.start(settings)
        one.publish(draft("a", "5"))
        let copy = site.directory.file("copy.sqlite")
        try LogFiles.backUp(settings, to: copy)
        one.publish(draft("a", "6"))
        let second = try site.machine("2")
        try FileManager.default.createDirectory(
            atPath: second.directory,
            withIntermediateDirectories: true
        )
        try FileManager.default.moveItem(atPath: copy, toPath: second.directory + "/log.sqlite")
        #expect(try EngineFiles.place(second)?.site == site.id)
        let two = site.start(second)
        two.wait(for: "6")
        #expect(two.everything(["a", "b"]) == one.everything(["a", "b"]))
        #expect(two.read(["a"], .after(ids[0].offset)).gap == nil)
        expectJudgement(two, ids)
        two.publish(draft("a", "7"))
        one.wait(for: "7")
        #expect(two.everything(["a", "b"]) == one.everything(["a", "b"]))
        one.stop()
        two.stop()
    }

    @Test func `a log that may lack its end has an epoch for that before it is adopted`() throws {
        let site = try EngineSite()
        let (settings, ids) = try machine(site)
        try FileManager.default.removeItem(atPath: settings.directory + "/wake")
        try EngineAdoption.run(
            settings,
            try #require(settings.engine),
            site: try site.id,
            machineName: "name",
            say: { #expect($0.contains("new epoch")) }
        )
        #expect(try site.server.sql("SELECT count(*) FROM holdfast.epochs") == "4")
        let (one, two) = (site.start(settings), site.start(try site.machine("2")))
        for probe in [one, two] {
            let verdict = probe.now.epochs?.verdict(on: ids[2], head: probe.now.head)
            #expect(verdict == .restarted(resume: ids[2].offset))
            probe.stop()
        }
    }

    @Test func `a machine that leaves before its first start has lost nothing, and may come back`()
        throws
    {
        let site = try EngineSite()
        let (settings, ids) = try machine(site)
        let id = try site.id
        let history = try EngineAdoption.begin(
            settings,
            site: id,
            machine: "machine",
            say: { Issue.record("\($0)") }
        )
        _ = try EngineAdministration.adopt(
            site.server.options,
            schema: "holdfast",
            site: id,
            machine: "machine",
            machineName: "name",
            history: history
        )
        let isMember = try EngineAdministration.leave(
            site.server.options,
            schema: "holdfast",
            site: id,
            machine: "machine"
        )
        #expect(isMember)
        try EngineFiles.leave(settings)
        #expect(EngineMembership.read(settings) == nil)
        var alone = settings
        alone.engine = nil
        let probe = LogProbe(alone)
        expectWhole(probe, ids)
        expectJudgement(probe, ids)
        probe.publish(draft("a", "5"))
        probe.stop()
        // The site takes what has been added since.
        try adopt(site, settings)
        let second = try #require(EngineMembership.read(settings))
        #expect(second.machine != "machine")
        let one = site.start(settings)
        #expect(one.now.head == Offset(5))
        expectJudgement(one, ids)
        one.stop()
    }

    @Test func `a refused adoption leaves the machine as it was`() throws {
        let site = try EngineSite()
        let (settings, ids) = try machine(site)
        let two = site.start(try site.machine("2"))
        #expect {
            try adopt(site, settings)
        } throws: { ($0 as? JoinError)?.isOfLog == false }
        #expect(EngineMembership.read(settings) == nil)
        two.stop()
        var alone = settings
        alone.engine = nil
        let one = LogProbe(alone)
        expectWhole(one, ids)
        expectJudgement(one, ids)
        one.stop()
        // A log without messages, of another site, or of a machine that is a member by another log.
        #expect {
            try adopt(site, site.settings("none"))
        } throws: { ($0 as? JoinError)?.isOfLog == true }
        try EngineMembership(site: try site.id, machine: "1").write(settings)
        #expect {
            try adopt(site, settings)
        } throws: { ($0 as? JoinError)?.isOfLog == true }
        try EngineMembership.remove(settings)
        try EngineAdoption.attach(
            settings,
            try EngineAdoption.history(settings, say: { Issue.record("\($0)") }),
            at: EnginePosition(seq: 0, chain: [1]),
            of: "another"
        )
        #expect {
            try adopt(site, settings)
        } throws: { ($0 as? JoinError)?.isOfLog == true }
        #expect(EngineMembership.read(settings) == nil)
    }
}

extension JoinError {
    /// Whether this machine's own log refuses, and not the site.
    var isOfLog: Bool { if case .log = self { true } else { false } }
}
