import Channels

/// The tables, and the one row that says where the log stands.
enum LogSchema {
    /// "HOLD" in PRAGMA application_id: the file is ours.
    static let application: Int64 = 0x484f_4c44
    static let version: Int64 = 2

    /// `kept` and `expires` are on the retention clock, `time` is the wall clock's; all in milliseconds.
    ///
    /// In `channels`, `count` and `bytes` (of bodies) are exact, so that trimming need not count; `due` is at or
    /// before the time when the oldest message gets too old, null without messages; `trim_stamp` is the number of the
    /// newest commit that raised the mark, so that others read only what rose since they looked.
    /// In `quotas`, the times at which a publisher will have all of its quota back, on the retention clock but in
    /// microseconds; `until` is the later one in milliseconds, when the row says nothing any more.
    /// In `state`, `clock` and `clock_boot` are what the retention and boot-time clocks showed at the newest commit.
    static let sql = """
        CREATE TABLE state (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            head INTEGER NOT NULL, trim_stamp INTEGER NOT NULL, forgotten_through INTEGER NOT NULL,
            epoch INTEGER NOT NULL, channels INTEGER NOT NULL, messages INTEGER NOT NULL,
            clock INTEGER NOT NULL, clock_boot INTEGER NOT NULL, boot TEXT NOT NULL
        );
        INSERT INTO state VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0, '');
        CREATE TABLE epochs (
            number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, start INTEGER NOT NULL
        );
        CREATE TABLE channels (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
            last_offset INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
            due INTEGER,
            trimmed_through INTEGER NOT NULL, trim_reason INTEGER NOT NULL, trim_stamp INTEGER NOT NULL
        );
        CREATE INDEX channels_by_trim ON channels (trim_stamp);
        CREATE INDEX channels_by_due ON channels (due) WHERE due IS NOT NULL;
        CREATE INDEX channels_idle ON channels (last_offset) WHERE count = 0;
        CREATE TABLE messages (
            offset INTEGER PRIMARY KEY, channel INTEGER NOT NULL,
            time INTEGER NOT NULL, kept INTEGER NOT NULL, expires INTEGER,
            kind INTEGER NOT NULL, content_type TEXT NOT NULL, type TEXT, topic TEXT,
            body BLOB NOT NULL
        );
        CREATE INDEX messages_by_channel ON messages (channel, offset);
        CREATE INDEX messages_by_expiry ON messages (expires) WHERE expires IS NOT NULL;
        CREATE INDEX messages_by_topic ON messages (channel, topic) WHERE topic IS NOT NULL;
        CREATE TABLE idempotency (
            scope TEXT PRIMARY KEY, digest BLOB NOT NULL,
            first INTEGER NOT NULL, count INTEGER NOT NULL, kept INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX idempotency_by_age ON idempotency (kept);
        PRAGMA application_id = \(application);
        \(sinceVersion1)
        """

    private static let sinceVersion1 = """
        CREATE TABLE quotas (
            publisher TEXT PRIMARY KEY,
            messages_full INTEGER NOT NULL, bytes_full INTEGER NOT NULL, until INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX quotas_by_end ON quotas (until);
        PRAGMA user_version = \(version);
        """

    /// Makes the tables in an empty file; says why another program's or a newer file can't be used.
    static func prepare(_ database: Database) throws {
        let application = try database.fetchInteger("PRAGMA application_id") ?? 0
        let version = try database.fetchInteger("PRAGMA user_version") ?? 0
        let tables = try database.fetchInteger("SELECT count(*) FROM sqlite_master") ?? 0
        if tables == 0 {
            try database.inTransaction { try database.execute(sql) }
        } else if application != Self.application {
            throw LogProblem(
                "log.sqlite is a database of another program; move it away or set [bus] directory"
            )
        } else if version == 1 {
            // Processes of that version that still run are not disturbed by a table they do not know.
            try database.inTransaction { try database.execute(sinceVersion1) }
        } else if version != Self.version {
            throw LogProblem(
                "log.sqlite has format \(version), this holdfast knows format \(Self.version); "
                    + "run the release that wrote it, or move the file away to begin a new log"
            )
        }
    }
}

/// The row of `state`.
struct StateRow: Equatable {
    var head: Int64
    var trimStamp: Int64
    var forgottenThrough: Int64
    /// Number of the current epoch; rises with each.
    var epoch: Int64
    var channels: Int64
    var messages: Int64
    var clock: Int64
    var clockBoot: Int64
    var boot: String
}

/// A row of `channels`.
struct ChannelRow {
    var id: Int64
    var name: ChannelName
    var lastOffset: Int64
    var count: Int64
    var bytes: Int64
    var due: Int64?
    var trimmedThrough: Int64
    var trimReason: GapReason
    /// Whether the mark or `due` changed, which touches two indexes more.
    var markChanged = false

    /// Raises the mark; the newest reason stands for all of it.
    mutating func mark(through offset: Int64, _ reason: GapReason) {
        guard offset > trimmedThrough else { return }
        (trimmedThrough, trimReason, markChanged) = (offset, reason, true)
    }

    var trimMark: TrimMark {
        TrimMark(channel: name, through: Offset(trimmedThrough), reason: trimReason)
    }
}

extension GapReason {
    /// As `trim_reason` holds it; only these two mark a channel.
    var stored: Int64 { self == .deleted ? 2 : 1 }
    init(stored: Int64) { self = stored == 2 ? .deleted : .trimmed }
}
