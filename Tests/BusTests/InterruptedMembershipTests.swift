import Channels
import Engine
import Foundation
import Harness
import Testing

@testable import Bus

/// `holdfast engine join` and `leave`, killed between any two steps that are on the disk: what the machine has is kept, or
/// its loss is told, whatever comes next.
@Suite(.serialized, .enabled(if: PostgreSQL.isUsable)) struct InterruptedMembershipTests {
    /// A machine that was a bus of its own, with one message; what it is started with as a machine of the site.
    private func formerlyAlone(_ site: EngineSite, _ name: String = "1") throws -> (
        BusSettings, Channels.Cursor
    ) {
        let settings = site.settings(name)
        let probe = LogProbe(alone(settings))
        let id = try #require(probe.append(draft("a", "own")).id)
        probe.stop()
        return (settings, id)
    }

    private func alone(_ settings: BusSettings) -> BusSettings {
        var settings = settings
        settings.engine = nil
        return settings
    }

    /// Expects that no process serves the log as that of a member, nor changes it.
    private func expectRefused(
        _ settings: BusSettings,
        because sentence: String,
        location: SourceLocation = #_sourceLocation
    ) throws {
        let before = try EngineFiles.place(settings)
        let probe = LogProbe(settings)
        probe.wait("it is refused", location: location) {
            $0.unavailable.contains { $0.contains(sentence) }
        }
        #expect(probe.now.opened.isEmpty, sourceLocation: location)
        probe.stop()
        let after = try EngineFiles.place(settings)
        #expect(after?.messages == before?.messages, sourceLocation: location)
        #expect(after?.site == before?.site, sourceLocation: location)
    }

    private func expectAlone(
        _ settings: BusSettings,
        has texts: [String],
        location: SourceLocation = #_sourceLocation
    ) -> LogProbe {
        let probe = LogProbe(alone(settings))
        #expect(probe.read(["a"], .first).messages.map(\.text) == texts, sourceLocation: location)
        return probe
    }

    private func join(_ site: EngineSite, _ settings: BusSettings, _ machine: String) throws {
        try EngineFiles.join(
            settings,
            try #require(settings.engine),
            site: try site.id,
            machine: machine,
            machineName: machine
        )
    }

    private func enlist(_ site: EngineSite, _ machine: String) throws {
        _ = try EngineAdministration.join(
            site.server.options,
            schema: "holdfast",
            machine: machine,
            machineName: machine
        )
    }

    // MARK: A log that was not given up

    @Test func `a log of its own was dropped where the machine was a member already`() throws {
        let site = try EngineSite()
        // It was served without [engine], or put back from a time before that.
        let (settings, _) = try formerlyAlone(site)
        try site.join(settings, "1")
        try expectRefused(settings, because: "1 messages that are not those of the site")
        expectAlone(settings, has: ["own"]).stop()
        // Now it is given up.
        try join(site, settings, "1")
        let one = site.start(settings)
        #expect(one.read(["a"], .first).messages.isEmpty)
        #expect(one.publish(draft("a", "shared")).id?.offset == Offset(1))
        one.stop()
    }

    // MARK: Leaving

    @Test func `killed while it leaves, a machine keeps what it has, also if it is started next`()
        throws
    {
        let site = try EngineSite()
        for steps in 1...3 {
            let settings = try site.machine("\(steps)")
            let one = site.start(settings)
            let id = try #require(one.publish(draft("a", "\(steps)")).id)
            let texts = (1...steps).map(String.init)
            #expect(one.read(["a"], .first).messages.map(\.text) == texts)
            one.stop()
            // PostgreSQL does not hear of it, and goes on to list the machine.
            try EngineFiles.beginLeaving(settings)
            if steps > 1 { try EngineFiles.detach(settings) }
            if steps > 2 { _ = try LogFiles.beginEpoch(alone(settings)) }
            try expectRefused(settings, because: "leave was interrupted")
            if steps > 1 {
                // As an earlier release left it, which said nothing of leaving.
                let state = try #require(EngineMembership.read(settings))
                try site.join(settings, "\(steps)")
                try expectRefused(settings, because: "not those of the site")
                try state.write(settings)
            }
            try EngineFiles.leave(settings)
            #expect(EngineMembership.read(settings) == nil)
            let own = expectAlone(settings, has: texts)
            // What it issues from now on is not what the site has there.
            let verdict = own.now.epochs?.verdict(on: id, head: own.now.head)
            #expect(verdict == .restarted(resume: id.offset))
            own.stop()
        }
    }

    @Test func `a machine that was killed before its log was detached may stay a member`() throws {
        let site = try EngineSite()
        let settings = try site.machine("1")
        let one = site.start(settings)
        let id = try #require(one.publish(draft("a", "shared")).id)
        one.stop()
        try EngineFiles.beginLeaving(settings)
        try join(site, settings, "1")
        let again = site.start(settings)
        #expect(again.read(["a"], .first).messages.map(\.text) == ["shared"])
        #expect(again.now.epochs?.verdict(on: id, head: again.now.head) == .valid(id.offset))
        again.stop()
    }

    // MARK: Joining

    @Test func `killed while it joins, a machine is the same one in the next attempt`() throws {
        for steps in 1...3 {
            let site = try EngineSite()
            let (settings, _) = try formerlyAlone(site)
            let id = try site.id
            try EngineMembership(site: id, machine: "m", state: .joining).write(settings)
            if steps > 1 { try enlist(site, "m") }
            if steps > 2 { try EngineFiles.giveUp(settings, for: id) }
            try expectRefused(settings, because: "join was interrupted")
            // What is given up is still there, and goes with the next start as a member only.
            #expect(try EngineFiles.place(settings)?.messages == 1)
            try join(site, settings, try #require(EngineMembership.read(settings)?.machine))
            #expect(EngineMembership.read(settings) == EngineMembership(site: id, machine: "m"))
            #expect(try site.server.sql("SELECT count(*) FROM holdfast.machines") == "1")
            let one = site.start(settings)
            #expect(one.read(["a"], .first).messages.isEmpty)
            one.publish(draft("a", "shared"))
            one.stop()
        }
    }

    @Test func `killed while it joins, a machine may stay a bus of its own`() throws {
        for steps in 1...3 {
            let site = try EngineSite()
            let (settings, id) = try formerlyAlone(site)
            try EngineMembership(site: try site.id, machine: "m", state: .joining).write(settings)
            if steps > 1 { try enlist(site, "m") }
            if steps > 2 { try EngineFiles.giveUp(settings, for: try site.id) }
            try EngineFiles.beginLeaving(settings)
            try EngineFiles.leave(settings)
            #expect(EngineMembership.read(settings) == nil)
            let own = expectAlone(settings, has: ["own"])
            let verdict = own.now.epochs?.verdict(on: id, head: own.now.head)
            // Nothing of it was ever anywhere else; once it is given up it is told to be, at the most once too often.
            #expect(
                verdict == (steps < 3 ? .valid(id.offset) : .restarted(resume: id.offset))
            )
            own.stop()
        }
    }

    @Test func `a machine that is refused is what it was`() throws {
        let site = try EngineSite()
        let (settings, id) = try formerlyAlone(site)
        #expect {
            try EngineFiles.join(
                settings,
                try #require(settings.engine),
                site: "another",
                machine: "m",
                machineName: "m"
            )
        } throws: { ($0 as? JoinError)?.isOfLog == false }
        #expect(EngineMembership.read(settings) == nil)
        let own = expectAlone(settings, has: ["own"])
        #expect(own.now.epochs?.verdict(on: id, head: own.now.head) == .valid(id.offset))
        own.stop()
    }

    @Test func `a log of another site is given up only when this one has the machine`() throws {
        let (first, second) = (try EngineSite(), try EngineSite())
        let settings = try first.machine("1")
        let one = first.start(settings)
        one.publish(draft("a", "first"))
        one.stop()
        var moved = second.settings("1")
        moved.directory = settings.directory
        try join(second, moved, "1")
        let two = second.start(moved)
        #expect(two.read(["a"], .first).messages.isEmpty)
        #expect(two.publish(draft("a", "second")).id?.offset == Offset(1))
        two.stop()
    }

    // MARK: Adopting

    @Test func `an adoption that a loss of power cut off ends, although others have joined`() throws
    {
        for steps in 2...3 {
            let site = try EngineSite()
            let (settings, id) = try formerlyAlone(site)
            let (history, position) = try beginAdopting(site, settings)
            if steps > 2 {
                try EngineAdoption.attach(settings, history, at: position, of: try site.id)
            }
            let two = site.start(try site.machine("2"))
            two.publish(draft("a", "other"))
            // What proves the log complete is gone, as after a restart of the machine.
            try FileManager.default.removeItem(atPath: settings.directory + "/wake")
            try expectRefused(settings, because: "join was interrupted")
            if steps > 2 {
                try join(site, settings, "m")
            } else {
                try adopt(site, settings)
            }
            let one = site.start(settings)
            one.wait(for: "other")
            let page = one.read(["a"], .after(id.offset))
            #expect(page.messages.map(\.text) == ["other"] && page.gap == nil)
            #expect(one.now.epochs?.verdict(on: id, head: one.now.head) == .valid(id.offset))
            #expect(one.read(["a"], .first).messages.map(\.text) == ["own", "other"])
            one.stop()
            two.stop()
        }
    }

    @Test func `what was published alone after the site had adopted is not given up unasked`()
        throws
    {
        let site = try EngineSite()
        let (settings, _) = try formerlyAlone(site)
        _ = try beginAdopting(site, settings)
        let own = expectAlone(settings, has: ["own"])
        own.append(draft("a", "more"))
        own.stop()
        let two = site.start(try site.machine("2"))
        #expect {
            try adopt(site, settings)
        } throws: { ($0 as? JoinError)?.isOfLog == false }
        #expect(EngineMembership.read(settings)?.state == .adopting)
        try expectRefused(settings, because: "join was interrupted")
        expectAlone(settings, has: ["own", "more"]).stop()
        two.stop()
    }

    /// The first two steps, as machine `m`.
    private func beginAdopting(_ site: EngineSite, _ settings: BusSettings) throws -> (
        EngineHistory, EnginePosition
    ) {
        let history = try EngineAdoption.begin(
            settings,
            site: try site.id,
            machine: "m",
            say: { Issue.record("\($0)") }
        )
        let position = try EngineAdministration.adopt(
            site.server.options,
            schema: "holdfast",
            site: try site.id,
            machine: "m",
            machineName: "name",
            history: history
        )
        return (history, position)
    }

    private func adopt(_ site: EngineSite, _ settings: BusSettings) throws {
        try EngineAdoption.run(
            settings,
            try #require(settings.engine),
            site: try site.id,
            machineName: "name",
            say: { _ in }
        )
    }
}
