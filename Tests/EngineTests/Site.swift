import Channels
import Engine
import Harness
import System

/// A site with a schema of its own in a server of its own.
final class Site {
    let directory: TestDirectory
    let server: PostgreSQL
    let id: String

    init(settings: [String] = []) throws {
        directory = try TestDirectory()
        server = try PostgreSQL(directory: directory, settings: settings)
        try EngineAdministration.create(server.options, schema: "holdfast", name: "Otto's site")
        id = try Self.join(server, "one")
    }

    @discardableResult
    static func join(_ server: PostgreSQL, _ machine: String) throws -> String {
        try EngineAdministration.join(
            server.options,
            schema: "holdfast",
            machine: machine,
            machineName: "host-\(machine)"
        )
    }

    func session(_ machine: String = "one", _ options: String? = nil) throws -> EngineSession {
        try EngineSession(
            options ?? server.options,
            EngineIdentity(
                schema: "holdfast",
                site: id,
                machine: machine,
                keepMilliseconds: 3_600_000
            ),
            hostMilliseconds: 20_000,
            deadline: soon
        )
    }
}

/// Long enough for a loaded machine.
var soon: Int64 { MonotonicClock.milliseconds() + 30_000 }

func gid() -> [UInt8] { (0..<16).map { _ in .random(in: 0...255) } }

func part(_ drafts: [Draft], dropping: [String] = []) throws -> EnginePart {
    var part = EnginePart()
    for name in dropping { GroupBody.append(dropping: try ChannelName(name), to: &part.body) }
    for draft in drafts { GroupBody.append(draft, to: &part.body) }
    (part.count, part.skipped) = (dropping.count + drafts.count, dropping.count)
    return part
}

func text(_ channel: String, _ body: String) throws -> Draft {
    Draft(
        channel: try ChannelName(channel),
        kind: .text,
        contentType: "text/plain; charset=utf-8",
        body: Array(body.utf8)
    )
}

/// A text in the channel `a`, by a caller that knows nothing of the log.
func append(_ session: EngineSession, _ body: String) throws -> EngineReceipt {
    let parts = [try part([text("a", body)])]
    return try session.append(gid: gid(), known: .none, parts: parts, deadline: soon)
}

/// How many messages that SQL published the log has taken.
func takeOutbox(_ session: EngineSession, most: Int) throws -> Int {
    try session.append(gid: gid(), known: .none, parts: [], fromOutbox: most, deadline: soon)
        .firsts.count
}

extension EngineGroup {
    var messages: [String] {
        guard case .records(let records) = content else { return [] }
        return records.map {
            switch $0 {
            case .message(let draft): String(decoding: draft.body, as: UTF8.self)
            case .drop(let channel): "drop \(channel)"
            case .unknown: "unknown"
            }
        }
    }
}
