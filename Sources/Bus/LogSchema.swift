import Channels

/// The tables of log.sqlite.
enum LogSchema {
    /// "HOLD" in PRAGMA application_id: the file is ours.
    static let application: Int64 = 0x484f_4c44
    static let version: Int64 = 3
    /// What is added to the version of a log that is part of a site of several machines: a release that knows nothing of
    /// these would append to it in the site's epoch, at offsets that the site gives to other messages.
    private static let ofSite: Int64 = 1000

    /// `kept` and `expires` are on the retention clock, `time` is the wall clock's; all in milliseconds.
    ///
    /// In `channels`, `count` and `bytes` (of bodies) are exact, so that trimming need not count; `due` is at or
    /// before the time when the oldest message gets too old, null without messages; `trim_stamp` is the number of the
    /// newest commit that raised the mark, so that others read only what rose since they looked.
    private static let tables = """
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
        PRAGMA application_id = \(application);
        """

    /// In `quotas`, the times at which a publisher will have all of its quota back, on the retention clock but in
    /// microseconds; `until` is the later one in milliseconds, when the row says nothing any more.
    private static let sinceVersion1 = """
        CREATE TABLE quotas (
            publisher TEXT PRIMARY KEY,
            messages_full INTEGER NOT NULL, bytes_full INTEGER NOT NULL, until INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX quotas_by_end ON quotas (until);
        """

    /// In `epochs`, `told` is how far the epoch before had been told, null where nothing proves it.
    ///
    /// In `state`, `clock`, `clock_boot` and `clock_wall` are what the retention, boot-time and wall clocks showed at
    /// one moment of the boot that `boot` names; `keys` counts the rows of that table; `secret` makes their hashes
    /// this log's own.
    ///
    /// In `keys`, `number` rises from row to row, `place` from row to row of a publisher, so that the oldest of
    /// both are found at once; `id` and `publisher` are hashes, since names may be long.
    private static let sinceVersion2 = """
        ALTER TABLE epochs ADD COLUMN told INTEGER;
        ALTER TABLE state ADD COLUMN clock_wall INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE state ADD COLUMN keys INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE state ADD COLUMN secret BLOB NOT NULL DEFAULT x'';
        UPDATE state SET clock_wall = clock, secret = randomblob(16);
        CREATE TABLE keys (
            number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE,
            publisher INTEGER NOT NULL, place INTEGER NOT NULL,
            digest BLOB NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL, kept INTEGER NOT NULL
        );
        CREATE UNIQUE INDEX keys_by_publisher ON keys (publisher, place);
        PRAGMA user_version = \(version);
        """

    /// Marks the log as one of a site, or of none; within a transaction.
    static func mark(ofSite isOfSite: Bool, _ database: Database) throws(LogError) {
        let wanted = version + (isOfSite ? ofSite : 0)
        if try database.fetchInteger("PRAGMA user_version") != wanted {
            try database.execute("PRAGMA user_version = \(wanted)")
        }
    }

    /// Makes the tables in an empty file, or adds what an older file lacks; throws for another program's file or a newer
    /// one. Running processes of an older release then close the log and say why.
    static func prepare(_ database: Database, upgrades: Bool = true) throws(LogError) {
        let application = try database.fetchInteger("PRAGMA application_id") ?? 0
        let version = try database.fetchInteger("PRAGMA user_version") ?? 0
        let objects = try database.fetchInteger("SELECT count(*) FROM sqlite_master") ?? 0
        guard application == Self.application || objects == 0 else {
            throw LogError.lasting(
                "log.sqlite is a database of another program; move it away or set [bus] directory"
            )
        }
        let missing: [String]
        switch version > ofSite ? version - ofSite : version {
        case 0 where objects == 0: missing = [tables, sinceVersion1, sinceVersion2]
        case 1: missing = [sinceVersion1, sinceVersion2]
        case 2: missing = [sinceVersion2]
        case Self.version: return
        default:
            throw LogError.lasting(
                "log.sqlite has format \(version); this holdfast knows format \(Self.version): "
                    + "run the release that wrote it, or move the file away to begin a new log"
            )
        }
        guard upgrades || version == 0 else {
            throw LogError.problem(
                "log.sqlite has format \(version), and this holdfast would change it to \(Self.version), which the running "
                    + "process does not know; restart that one instead of taking over from it"
            )
        }
        try database.inTransaction { () throws(LogError) in
            try database.execute(missing.joined(separator: "\n"))
            try KeyTable.takeOver(database)
        }
    }
}
