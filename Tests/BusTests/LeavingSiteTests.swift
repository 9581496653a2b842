import Channels
import Engine
import Harness
import Testing

@testable import Bus

/// A log that becomes part of a site, and a log by itself again.
@Suite(.serialized, .enabled(if: PostgreSQL.isUsable)) struct LeavingSiteTests {
    private func userVersion(_ settings: BusSettings) throws -> Int64? {
        try Database(path: settings.directory + "/log.sqlite", .readOnly)
            .fetchInteger("PRAGMA user_version")
    }

    @Test func `an older release went on in the log of a site, in the site's epoch`() throws {
        let site = try EngineSite()
        let settings = try site.machine("1")
        let one = site.start(settings)
        let id = try #require(one.publish(draft("a", "shared")).id)
        one.stop()
        // What such a release knows is 3.
        let version = try #require(try userVersion(settings))
        #expect(version > 1000)
        let again = site.start(settings)
        again.stop()
        #expect(try userVersion(settings) == version)
        try EngineFiles.leave(settings)
        #expect(try userVersion(settings) == version - 1000)
        var alone = settings
        alone.engine = nil
        let own = LogProbe(alone)
        let epochs = try #require(own.now.epochs)
        #expect(epochs.current != id.epoch)
        guard case .restarted = epochs.verdict(on: id, head: own.now.head) else {
            Issue.record("the cursor of the site is valid")
            return
        }
        #expect(own.append(draft("a", "own")).id != nil)
        own.stop()
    }

    @Test func `a machine that stopped leaving half-way can leave again`() throws {
        let site = try EngineSite()
        let settings = try site.machine("1")
        let one = site.start(settings)
        let id = try #require(one.publish(draft("a", "shared")).id)
        one.stop()
        // As if it had been killed behind this.
        try EngineFiles.detach(settings)
        #expect(EngineMembership.read(settings) != nil)
        var alone = settings
        alone.engine = nil
        let own = LogProbe(alone)
        #expect(own.now.epochs?.current != id.epoch)
        own.stop()
        try EngineFiles.leave(settings)
        #expect(EngineMembership.read(settings) == nil)
    }
}
