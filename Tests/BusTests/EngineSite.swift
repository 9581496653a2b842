import Bus
import Channels
import Engine
import Foundation
import Harness
import Testing

/// A PostgreSQL server with a site, and machines of it: a bus directory each.
final class EngineSite {
    let directory: TestDirectory
    let server: PostgreSQL

    init() throws {
        directory = try TestDirectory()
        // What a loss of power does is PostgreSQL's affair, and a loaded disk is slow.
        server = try PostgreSQL(directory: directory, settings: ["fsync=off"])
        try EngineAdministration.create(server.options, schema: "holdfast", name: "site")
    }

    /// Makes a machine part of the site; what its processes are started with.
    func machine(_ name: String) throws -> BusSettings {
        let settings = settings(name)
        try join(settings, name)
        return settings
    }

    var id: String {
        get throws { try server.sql("SELECT id FROM holdfast.site") }
    }

    /// Of a machine that has not joined.
    func settings(_ name: String) -> BusSettings {
        var settings = BusSettings()
        settings.directory = directory.file(name)
        settings.reserveBytes = 65_536
        var engine = EngineSettings(postgresql: server.options)
        // A loaded machine is slow, and not away.
        engine.connectSeconds = 10
        settings.engine = engine
        return settings
    }

    func join(_ settings: BusSettings, _ name: String) throws {
        let site = try EngineAdministration.join(
            server.options,
            schema: "holdfast",
            machine: name,
            machineName: name
        )
        try EngineMembership(site: site, machine: name).write(settings)
    }

    /// A process of a machine, when its log is open.
    func start(_ settings: BusSettings, channelLimit: Int = 1000) -> LogProbe {
        let probe = LogProbe(settings, channelLimit: channelLimit, start: false)
        probe.log.start()
        probe.wait("opened") { !$0.opened.isEmpty }
        return probe
    }

    /// Takes the newest groups away, as a failover does that loses them.
    func lose(after seq: Int64) throws {
        try server.sql(
            """
            BEGIN; DELETE FROM holdfast.log WHERE seq > \(seq); DELETE FROM holdfast.epochs WHERE seq > \(seq);
            COMMIT
            """
        )
    }

    var head: Int64 {
        get throws {
            try #require(Int64(try server.sql("SELECT seq FROM holdfast.head")))
        }
    }
}

extension LogProbe {
    /// Publishes until it is committed, once, as a publisher does that is told to repeat with its key.
    @discardableResult
    func publish(
        _ drafts: Draft...,
        dropping: [String] = [],
        key: IdempotencyKey? = nil,
        location: SourceLocation = #_sourceLocation
    ) -> AppendOutcome {
        let own = IdempotencyKey(publisher: "test", key: UUID().uuidString)
        for attempt in 0..<600 {
            // Where the engine is away it is told so at once.
            if attempt > 0 { poll(nil, 0, 100) }
            let ticket = send(drafts, dropping: dropping, key: key ?? own)
            switch outcome(of: ticket, location: location) {
            case .unavailable: continue
            case .repeated(let ids) where key == nil: return .committed(ids: ids)
            case let outcome: return outcome
            }
        }
        Issue.record("never published", sourceLocation: location)
        return .unavailable
    }

    /// Waits until a message is here.
    func wait(for text: String, location: SourceLocation = #_sourceLocation) {
        wait("message \(text)", location: location) { told in
            told.live.contains { $0.text == text }
                || told.opened.contains { $0.messages.contains { $0.text == text } }
                || told.resumed.contains { $0.messages.contains { $0.text == text } }
        }
    }

    /// Everything kept of these channels: offset, epoch and text.
    func everything(_ channels: [String]) -> [String] {
        read(channels, .first).messages.map { "\($0.offset) \($0.epoch) \($0.channel) \($0.text)" }
    }
}
