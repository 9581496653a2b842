/// The writer's prepared statements.
struct LogWriting {
    let begin: Query
    let beginReading: Query
    let commit: Query
    let rollback: Query

    let updateState: Query
    let insertEpoch: Query
    let raiseTold: Query
    let pruneEpochs: Query

    let insertChannel: Query
    let updateChannel: Query
    let updateChannelMark: Query
    let idleChannels: Query
    let countOwnChannels: Query
    let deleteChannel: Query
    let dueChannels: Query
    let channelsFrom: Query
    let channelName: Query

    let insertMessage: Query
    let oldestOfChannel: Query
    let deleteOldest: Query
    let expired: Query
    let deleteMessage: Query
    let ofTopic: Query
    let oldestOfAll: Query

    let findQuota: Query
    let insertQuota: Query
    let pruneQuotas: Query
    let anyOldQuota: Query

    init(_ database: Database) throws {
        func query(_ sql: String) throws -> Query { try Query(database, sql) }
        begin = try query("BEGIN IMMEDIATE")
        beginReading = try query("BEGIN")
        commit = try query("COMMIT")
        rollback = try query("ROLLBACK")

        updateState = try query(
            """
            UPDATE state SET head = ?, trim_stamp = ?, forgotten_through = ?, epoch = ?,
                channels = ?, messages = ?, keys = ?,
                clock = ?, clock_boot = ?, clock_wall = ?, boot = ? WHERE id = 1
            """
        )
        insertEpoch = try query(
            "INSERT INTO epochs (number, name, start, told) VALUES (?, ?, ?, ?)"
        )
        // What is not known stays so.
        raiseTold = try query("UPDATE epochs SET told = max(told, ?) WHERE name = ?")
        pruneEpochs = try query("DELETE FROM epochs WHERE number <= ?")

        insertChannel = try query(
            """
            INSERT INTO channels
                (name, last_offset, count, bytes, due, trimmed_through, trim_reason, trim_stamp)
            VALUES (?, 0, 0, 0, NULL, ?, 1, ?) RETURNING id
            """
        )
        updateChannel = try query(
            "UPDATE channels SET last_offset = ?, count = ?, bytes = ? WHERE id = ?"
        )
        updateChannelMark = try query(
            """
            UPDATE channels SET last_offset = ?, count = ?, bytes = ?, due = ?,
                trimmed_through = ?, trim_reason = ?, trim_stamp = ? WHERE id = ?
            """
        )
        idleChannels = try query(
            """
            SELECT id, trimmed_through FROM channels
            WHERE count = 0 AND (name >= '~') = ? ORDER BY last_offset LIMIT ?
            """
        )
        // No other name begins with the greatest character there is in names.
        countOwnChannels = try query("SELECT count(*) FROM channels WHERE name >= '~'")
        deleteChannel = try query("DELETE FROM channels WHERE id = ?")
        dueChannels = try query("SELECT name FROM channels WHERE due <= ? ORDER BY due LIMIT ?")
        channelsFrom = try query("SELECT id, name FROM channels WHERE id > ? ORDER BY id LIMIT ?")
        channelName = try query("SELECT name FROM channels WHERE id = ?")

        insertMessage = try query(
            """
            INSERT INTO messages
                (offset, channel, time, kept, expires, kind, content_type, type, topic, body)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        )
        oldestOfChannel = try query(
            """
            SELECT offset, length(body), kept FROM messages
            WHERE channel = ? ORDER BY offset LIMIT ?
            """
        )
        deleteOldest = try query("DELETE FROM messages WHERE channel = ? AND offset <= ?")
        expired = try query(
            """
            SELECT offset, channel, length(body) FROM messages
            WHERE expires <= ? ORDER BY expires LIMIT ?
            """
        )
        deleteMessage = try query("DELETE FROM messages WHERE offset = ?")
        ofTopic = try query(
            "SELECT offset, length(body) FROM messages WHERE channel = ? AND topic = ?"
        )
        oldestOfAll = try query(
            "SELECT offset, channel, length(body) FROM messages ORDER BY offset LIMIT ?"
        )

        findQuota = try query("SELECT messages_full, bytes_full FROM quotas WHERE publisher = ?")
        insertQuota = try query(
            """
            INSERT OR REPLACE INTO quotas (publisher, messages_full, bytes_full, until)
            VALUES (?, ?, ?, ?)
            """
        )
        pruneQuotas = try query(
            """
            DELETE FROM quotas WHERE publisher IN
                (SELECT publisher FROM quotas WHERE until <= ? ORDER BY until LIMIT ?)
            """
        )
        anyOldQuota = try query("SELECT 1 FROM quotas WHERE until <= ? LIMIT 1")
    }
}
