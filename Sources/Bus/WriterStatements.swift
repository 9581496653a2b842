/// The writer's prepared statements.
final class WriterStatements {
    let begin: PreparedStatement
    let beginReading: PreparedStatement
    let commit: PreparedStatement
    let rollback: PreparedStatement

    let updateState: PreparedStatement
    let insertEpoch: PreparedStatement
    let raiseTold: PreparedStatement
    let pruneEpochs: PreparedStatement

    let insertChannel: PreparedStatement
    let updateChannel: PreparedStatement
    let updateChannelMark: PreparedStatement
    let idleChannels: PreparedStatement
    let countOwnChannels: PreparedStatement
    let deleteChannel: PreparedStatement
    let dueChannels: PreparedStatement
    let channelsFrom: PreparedStatement
    let channelName: PreparedStatement

    let insertMessage: PreparedStatement
    let oldestOfChannel: PreparedStatement
    let deleteOldest: PreparedStatement
    let expired: PreparedStatement
    let deleteMessage: PreparedStatement
    let ofTopic: PreparedStatement
    let oldestOfAll: PreparedStatement

    let findQuota: PreparedStatement
    let insertQuota: PreparedStatement
    let pruneQuotas: PreparedStatement
    let anyOldQuota: PreparedStatement

    init(_ database: Database) throws(LogError) {
        func statement(_ sql: String) throws(LogError) -> PreparedStatement {
            try PreparedStatement(database, sql)
        }
        begin = try statement("BEGIN IMMEDIATE")
        beginReading = try statement("BEGIN")
        commit = try statement("COMMIT")
        rollback = try statement("ROLLBACK")

        updateState = try statement(
            """
            UPDATE state SET head = ?, trim_stamp = ?, forgotten_through = ?, epoch = ?,
                channels = ?, messages = ?, keys = ?,
                clock = ?, clock_boot = ?, clock_wall = ?, boot = ? WHERE id = 1
            """
        )
        insertEpoch = try statement(
            "INSERT INTO epochs (number, name, start, told) VALUES (?, ?, ?, ?)"
        )
        // NULL, which is unknown, stays NULL.
        raiseTold = try statement("UPDATE epochs SET told = max(told, ?) WHERE name = ?")
        pruneEpochs = try statement("DELETE FROM epochs WHERE number <= ?")

        insertChannel = try statement(
            """
            INSERT INTO channels
                (name, last_offset, count, bytes, due, trimmed_through, trim_reason, trim_stamp)
            VALUES (?, 0, 0, 0, NULL, ?, 1, ?) RETURNING id
            """
        )
        updateChannel = try statement(
            "UPDATE channels SET last_offset = ?, count = ?, bytes = ? WHERE id = ?"
        )
        updateChannelMark = try statement(
            """
            UPDATE channels SET last_offset = ?, count = ?, bytes = ?, due = ?,
                trimmed_through = ?, trim_reason = ?, trim_stamp = ? WHERE id = ?
            """
        )
        idleChannels = try statement(
            """
            SELECT id, trimmed_through FROM channels
            WHERE count = 0 AND (name >= '~') = ? ORDER BY last_offset LIMIT ?
            """
        )
        // No other name begins with the greatest character there is in names.
        countOwnChannels = try statement("SELECT count(*) FROM channels WHERE name >= '~'")
        deleteChannel = try statement("DELETE FROM channels WHERE id = ?")
        dueChannels = try statement("SELECT name FROM channels WHERE due <= ? ORDER BY due LIMIT ?")
        channelsFrom = try statement(
            "SELECT id, name FROM channels WHERE id > ? ORDER BY id LIMIT ?"
        )
        channelName = try statement("SELECT name FROM channels WHERE id = ?")

        insertMessage = try statement(
            """
            INSERT INTO messages
                (offset, channel, time, kept, expires, kind, content_type, type, topic, body)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        )
        oldestOfChannel = try statement(
            """
            SELECT offset, length(body), kept FROM messages
            WHERE channel = ? ORDER BY offset LIMIT ?
            """
        )
        deleteOldest = try statement("DELETE FROM messages WHERE channel = ? AND offset <= ?")
        expired = try statement(
            """
            SELECT offset, channel, length(body) FROM messages
            WHERE expires <= ? ORDER BY expires LIMIT ?
            """
        )
        deleteMessage = try statement("DELETE FROM messages WHERE offset = ?")
        ofTopic = try statement(
            "SELECT offset, length(body) FROM messages WHERE channel = ? AND topic = ?"
        )
        oldestOfAll = try statement(
            "SELECT offset, channel, length(body) FROM messages ORDER BY offset LIMIT ?"
        )

        findQuota = try statement(
            "SELECT messages_full, bytes_full FROM quotas WHERE publisher = ?"
        )
        insertQuota = try statement(
            """
            INSERT OR REPLACE INTO quotas (publisher, messages_full, bytes_full, until)
            VALUES (?, ?, ?, ?)
            """
        )
        pruneQuotas = try statement(
            """
            DELETE FROM quotas WHERE publisher IN
                (SELECT publisher FROM quotas WHERE until <= ? ORDER BY until LIMIT ?)
            """
        )
        anyOldQuota = try statement("SELECT 1 FROM quotas WHERE until <= ? LIMIT 1")
    }
}
