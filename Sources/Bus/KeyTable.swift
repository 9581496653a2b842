import Channels

/// The idempotency keys of the last minutes, and what they were used for.
///
/// A publisher can invent any number of keys, of any length. So a row consists of hashes, which have one size; one
/// publisher has at most half of all rows; all rows together take about a twentieth of the log; and the oldest are
/// removed first. Keys are worth less than messages: a full log removes them before it trims messages (`LogWriter.makeRoom`).
struct KeyTable {
    /// How long a key is remembered (HTTP interface, Idempotency-Key).
    static let milliseconds: Int64 = 300_000

    /// More than any one request brings.
    private static let mostMessages: Int64 = 1 << 20

    /// The outcome of an earlier request with the key.
    struct Use {
        var digest: [UInt8]
        var first: Int64
        var count: Int64
    }

    private let hash: KeyedHash
    private let limit: Int64
    private let find: PreparedStatement
    private let forget: PreparedStatement
    private let newestPlace: PreparedStatement
    private let forgetOfPublisher: PreparedStatement
    private let insert: PreparedStatement
    private let oldest: PreparedStatement
    private let forgetOldest: PreparedStatement
    private let forgetOld: PreparedStatement
    private let forgetAll: PreparedStatement

    /// - Parameter logBytes: how large the log may be.
    init(_ database: Database, logBytes: Int64) throws(LogError) {
        func statement(_ sql: String) throws(LogError) -> PreparedStatement {
            try PreparedStatement(database, sql)
        }
        let state = try statement("SELECT secret FROM state WHERE id = 1")
        guard try state.step() else { throw LogError.damage("it has lost its state row") }
        let secret = state.blob(0)
        state.finish()
        guard secret.count == 16 else { throw LogError.damage("it has lost its secret") }
        hash = KeyedHash(secret: secret)
        // A row with its places in the indexes takes some 170 bytes.
        limit = min(65_536, max(256, logBytes / 4096))
        find = try statement("SELECT digest, first, count, kept FROM keys WHERE id = ?")
        forget = try statement("DELETE FROM keys WHERE id = ? RETURNING 1")
        newestPlace = try statement("SELECT max(place) FROM keys WHERE publisher = ?")
        forgetOfPublisher = try statement(
            "DELETE FROM keys WHERE publisher = ? AND place <= ? RETURNING 1"
        )
        insert = try statement(
            """
            INSERT INTO keys (id, publisher, place, digest, first, count, kept)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """
        )
        oldest = try statement("SELECT kept FROM keys ORDER BY number LIMIT 1")
        let first = "(SELECT number FROM keys ORDER BY number LIMIT ?)"
        forgetOldest = try statement("DELETE FROM keys WHERE number IN \(first) RETURNING 1")
        forgetOld = try statement(
            "DELETE FROM keys WHERE number IN \(first) AND kept <= ? RETURNING 1"
        )
        forgetAll = try statement("DELETE FROM keys")
    }

    /// The unexpired use of this request's key, if any.
    func use(of key: IdempotencyKey, _ append: Append, now: Int64) throws(LogError) -> Use? {
        try find.bind(id(key, append))
        guard try find.step() else { return nil }
        defer { find.finish() }
        guard find.integer(3) + Self.milliseconds > now else { return nil }
        let (first, count) = (find.integer(1), find.integer(2))
        // Numbers that no request can have had were written by another program.
        guard isPlausible(first), (0...Self.mostMessages).contains(count) else { return nil }
        return Use(digest: find.blob(0), first: first, count: count)
    }

    /// Remembers the use of this request's key, in a table of `count` rows. Returns how many rows the table has then.
    func keep(
        _ use: Use,
        of key: IdempotencyKey,
        _ append: Append,
        now: Int64,
        count: Int64
    ) throws(LogError) -> Int64 {
        let id = id(key, append)
        var count = count + 1
        // Removes an expired row of the same key.
        try forget.bind(id)
        count -= try rows(forget)
        let publisher = publisher(key.publisher)
        try newestPlace.bind(publisher)
        let place = try newestPlace.step() ? newestPlace.integer(0) + 1 : 1
        newestPlace.finish()
        try forgetOfPublisher.bind(publisher, place - max(1, limit / 2))
        count -= try rows(forgetOfPublisher)
        try insert.bind(
            id,
            publisher,
            place,
            use.digest,
            use.first,
            use.count,
            now
        )
        try insert.run()
        if count > limit {
            try forgetOldest.bind(count - limit)
            count -= try rows(forgetOldest)
        }
        return count
    }

    func hasOld(now: Int64) throws(LogError) -> Bool {
        try oldest.bind()
        defer { oldest.finish() }
        return try oldest.step() && oldest.integer(0) <= now - Self.milliseconds
    }

    /// Removes expired keys. Returns how many.
    func prune(now: Int64, limit: Int64) throws(LogError) -> Int64 {
        try forgetOld.bind(limit, now - Self.milliseconds)
        return try rows(forgetOld)
    }

    func clear() throws(LogError) {
        try forgetAll.bind()
        try forgetAll.run()
    }

    private func id(_ key: IdempotencyKey, _ append: Append) -> [UInt8] {
        KeyedHash.bytes(of: hash(key.scope(append)))
    }

    private func publisher(_ name: String) -> Int64 { Int64(bitPattern: hash(name).0) }

    private func rows(_ query: PreparedStatement) throws(LogError) -> Int64 {
        var count: Int64 = 0
        while try query.step() { count += 1 }
        return count
    }

    /// Converts the rows of an older format, which kept the text itself. Within the transaction that upgrades the file.
    static func takeOver(_ database: Database) throws(LogError) {
        let old = "FROM sqlite_master WHERE name = 'idempotency'"
        guard try database.fetchInteger("SELECT count(*) \(old)") == 1 else { return }
        let table = try KeyTable(database, logBytes: 0)
        let rows = try PreparedStatement(
            database,
            """
            SELECT scope, digest, first, count, kept FROM
                (SELECT * FROM idempotency ORDER BY kept DESC LIMIT 4096) ORDER BY kept
            """
        )
        var place: Int64 = 0
        while try rows.step() {
            place += 1
            let scope = rows.text(0)
            try table.insert.bind(
                KeyedHash.bytes(of: table.hash(scope)),
                table.publisher(IdempotencyKey.publisher(ofScope: scope)),
                place,
                rows.blob(1),
                rows.integer(2),
                rows.integer(3),
                rows.integer(4)
            )
            try table.insert.run()
        }
        try database.execute(
            """
            DROP TABLE idempotency;
            UPDATE state SET keys = (SELECT count(*) FROM keys);
            """
        )
    }
}

extension IdempotencyKey {
    /// One text for publisher, channels and key; lengths keep different triples apart.
    func scope(_ append: Append) -> String {
        let names = append.drafts.map(\.channel.text) + append.dropping.map(\.text)
        let channels = Set(names).sorted().joined(separator: ",")
        return "\(publisher.utf8.count):\(key.utf8.count):\(publisher)\(key)\(channels)"
    }

    fileprivate static func publisher(ofScope scope: String) -> String {
        let parts = scope.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 2)
        guard parts.count == 3, let length = Int(String(parts[0]) ?? "") else { return "" }
        return String(parts[2].prefix(length)) ?? ""
    }
}
