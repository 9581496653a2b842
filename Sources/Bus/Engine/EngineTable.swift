import Channels
import Engine

/// How far the local log has the site's: tables of log.sqlite that exist only on machines with an engine.
///
/// `engine` holds the site and the newest entry that was applied; `engine_lack` up to where messages of other machines
/// may be missing here, apart from those that retention removed; `engine_positions` the position after each of the
/// newest transactions, so that a machine that has more than the engine finds the newest entry that both have.
struct EngineTable {
    /// How many of the engine's entries positions are remembered for.
    private static let remembered: Int64 = 20_000

    private let find: PreparedStatement
    private let set: PreparedStatement
    private let keep: PreparedStatement
    private let prune: PreparedStatement
    private let positionsUpTo: PreparedStatement
    private let forgetAbove: PreparedStatement
    private let headAt: PreparedStatement
    private let epochNamed: PreparedStatement
    private let findEnd: PreparedStatement
    private let findLack: PreparedStatement
    private let setLack: PreparedStatement

    let quietestChannels: PreparedStatement
    let deleteAllMessages: PreparedStatement
    let deleteAllChannels: PreparedStatement
    let deleteAllEpochs: PreparedStatement
    let deleteMessagesAbove: PreparedStatement
    let rewindChannels: PreparedStatement
    let deleteEpochsAbove: PreparedStatement
    let renumberEpoch: PreparedStatement
    let countMessages: PreparedStatement

    init(_ database: Database) throws(LogError) {
        try database.execute(
            """
            CREATE TABLE IF NOT EXISTS engine (
                id INTEGER PRIMARY KEY CHECK (id = 1),
                site TEXT NOT NULL, seq INTEGER NOT NULL, chain BLOB NOT NULL
            );
            CREATE TABLE IF NOT EXISTS engine_lack (
                id INTEGER PRIMARY KEY CHECK (id = 1), through INTEGER NOT NULL
            );
            CREATE TABLE IF NOT EXISTS engine_positions (
                seq INTEGER PRIMARY KEY, head INTEGER NOT NULL, chain BLOB NOT NULL
            );
            """
        )
        func statement(_ sql: String) throws(LogError) -> PreparedStatement {
            try PreparedStatement(database, sql)
        }
        find = try statement("SELECT site, seq, chain FROM engine WHERE id = 1")
        set = try statement("INSERT OR REPLACE INTO engine VALUES (1, ?, ?, ?)")
        keep = try statement("INSERT OR REPLACE INTO engine_positions VALUES (?, ?, ?)")
        prune = try statement("DELETE FROM engine_positions WHERE seq <= ?")
        positionsUpTo = try statement("SELECT seq, chain FROM engine_positions ORDER BY seq DESC")
        forgetAbove = try statement("DELETE FROM engine_positions WHERE seq > ?")
        headAt = try statement("SELECT head, chain FROM engine_positions WHERE seq = ?")
        epochNamed = try statement("SELECT 1 FROM epochs WHERE name = ?")
        findEnd = try statement(
            """
            SELECT head, (SELECT name FROM epochs ORDER BY number DESC LIMIT 1),
                (SELECT time FROM messages ORDER BY offset DESC LIMIT 1)
            FROM state WHERE id = 1
            """
        )
        findLack = try statement("SELECT through FROM engine_lack WHERE id = 1")
        setLack = try statement("INSERT OR REPLACE INTO engine_lack VALUES (1, ?)")
        quietestChannels = try statement(
            """
            SELECT id, max(last_offset, trimmed_through), count FROM channels
            WHERE (name >= '~') = ? ORDER BY last_offset LIMIT ?
            """
        )
        deleteAllMessages = try statement("DELETE FROM messages")
        deleteAllChannels = try statement("DELETE FROM channels")
        deleteAllEpochs = try statement("DELETE FROM epochs")
        deleteMessagesAbove = try statement("DELETE FROM messages WHERE offset > ?")
        rewindChannels = try statement(
            """
            UPDATE channels SET
                last_offset = coalesce(
                    (SELECT max(offset) FROM messages WHERE channel = id), min(last_offset, ?)
                ),
                count = (SELECT count(*) FROM messages WHERE channel = id),
                bytes = (SELECT coalesce(sum(length(body)), 0) FROM messages WHERE channel = id),
                trimmed_through = min(trimmed_through, ?), trim_stamp = ?
            WHERE last_offset > ? OR trimmed_through > ?
            """
        )
        deleteEpochsAbove = try statement("DELETE FROM epochs WHERE start > ?")
        renumberEpoch = try statement(
            "UPDATE epochs SET number = ? WHERE number = (SELECT max(number) FROM epochs)"
        )
        countMessages = try statement("SELECT count(*) FROM messages")
    }

    /// Whether the log of this connection is part of a site, also without `[engine]` in the ini file.
    static func isUsed(in database: Database) throws(LogError) -> Bool {
        let there = "SELECT count(*) FROM sqlite_master WHERE name = 'engine'"
        guard try database.fetchInteger(there) == 1 else { return false }
        return try database.fetchInteger("SELECT count(*) FROM engine") == 1
    }

    /// Nil in a log that is not part of a site yet. Without a position, the log's content is given up: it begins where
    /// the engine's groups begin.
    func place() throws(LogError) -> (site: String, position: EnginePosition?)? {
        try find.bind()
        defer { find.finish() }
        guard try find.step() else { return nil }
        let (site, seq) = (find.text(0), find.integer(1))
        return (site, seq < 0 ? nil : EnginePosition(seq: seq, chain: find.blob(2)))
    }

    /// The log is of this site, and has no place in its log.
    func giveUp(for site: String) throws(LogError) {
        try set.bind(site, -1, [])
        try set.run()
        try forget(above: -1)
        try noteLack(through: 0)
    }

    /// - Parameter head: the log's newest offset there.
    func move(to position: EnginePosition, of site: String, head: Int64) throws(LogError) {
        try set.bind(site, position.seq, position.chain)
        try set.run()
        try keep.bind(position.seq, head, position.chain)
        try keep.run()
        try prune.bind(position.seq - Self.remembered)
        try prune.run()
    }

    /// Newest first.
    func positions() throws(LogError) -> [EnginePosition] {
        var positions: [EnginePosition] = []
        try positionsUpTo.bind()
        while try positionsUpTo.step() {
            positions.append(
                EnginePosition(seq: positionsUpTo.integer(0), chain: positionsUpTo.blob(1))
            )
        }
        return positions
    }

    /// Nil in a log without epochs.
    func end() throws(LogError) -> EngineEnd? {
        try findEnd.bind()
        defer { findEnd.finish() }
        guard try findEnd.step(), let epoch = Epoch(findEnd.text(1)) else { return nil }
        return EngineEnd(
            head: findEnd.integer(0),
            epoch: epoch,
            newest: findEnd.optionalInteger(2)
        )
    }

    /// The log's newest offset at a remembered position, and that position.
    func head(at seq: Int64) throws(LogError) -> (head: Int64, position: EnginePosition)? {
        try headAt.bind(seq)
        defer { headAt.finish() }
        guard try headAt.step() else { return nil }
        return (headAt.integer(0), EnginePosition(seq: seq, chain: headAt.blob(1)))
    }

    func forget(above seq: Int64) throws(LogError) {
        try forgetAbove.bind(seq)
        try forgetAbove.run()
    }

    /// Up to which offset messages of other machines may be missing here.
    func lack() throws(LogError) -> Int64 {
        try findLack.bind()
        defer { findLack.finish() }
        return try findLack.step() ? findLack.integer(0) : 0
    }

    func noteLack(through offset: Int64) throws(LogError) {
        try setLack.bind(offset)
        try setLack.run()
    }

    func knows(_ epoch: Epoch) throws(LogError) -> Bool {
        try epochNamed.bind(epoch.name)
        defer { epochNamed.finish() }
        return try epochNamed.step()
    }
}
