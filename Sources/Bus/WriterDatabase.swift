import Channels

/// The writer's connection to the log's file: its statements, and the transactions that change anything.
///
/// For the writer thread, under the gate.
final class WriterDatabase {
    let queries: LogQueries
    let statements: WriterStatements
    let keys: KeyTable
    /// Nil: this machine is a bus of its own.
    let engine: EngineTable?
    /// After the statements: it can close when they are gone.
    let connection: LogConnection
    let channelLimit: Int64
    /// The rules that are valid now.
    let retention: @Sendable (ChannelName) -> Retention

    /// As the newest transaction left it, or the newest reading found it.
    private(set) var state: StateRow
    /// Channels as the newest transaction left them, and the file's version then: while the version is the same, neither
    /// these rows nor the state need to be read again.
    private var known: [ChannelName: ChannelRow] = [:]
    private var knownVersion: UInt32?
    private static let mostKnown = 256

    /// Opens the file, made before, and its tables if they are missing.
    init(
        path: String,
        isInMemory: Bool,
        settings: BusSettings,
        channelLimit: Int,
        retention: @escaping @Sendable (ChannelName) -> Retention
    ) throws(LogError) {
        self.channelLimit = Int64(channelLimit)
        self.retention = retention
        let connection = try LogConnection(
            path: path,
            settings: settings,
            isInMemory: isInMemory
        )
        (queries, statements, keys, engine, state) = try connection.use {
            database throws(LogError) in
            try LogSchema.prepare(database, upgrades: settings.upgradesLog)
            let queries = try LogQueries(database)
            let keys = try KeyTable(database, logBytes: settings.maxBytes)
            let engine = try settings.engine.map { _ throws(LogError) in try EngineTable(database) }
            if engine == nil, try EngineTable.isUsed(in: database) {
                throw LogError.lasting(
                    "log.sqlite is part of a site of several machines, but the ini file has no section [engine]; "
                        + "holdfast engine leave makes it a bus of its own"
                )
            }
            return (queries, try WriterStatements(database), keys, engine, try queries.state())
        }
        self.connection = connection
    }

    /// Runs the body, which only reads, on one state of the log; without the gate, too.
    func read<T>(_ body: () throws(LogError) -> T) throws(LogError) -> T {
        try connection.use { database throws(LogError) in
            try statements.beginReading.run()
            defer { if database.isInsideTransaction { try? statements.commit.run() } }
            state = try queries.state()
            knownVersion = nil
            return try body()
        }
    }

    /// Runs the body in one immediate transaction, which is committed or has no effect.
    ///
    /// - Parameter isBrief: it fails rather than trim much.
    func transaction<T>(
        _ time: LogTime,
        isBrief: Bool = false,
        _ body: (inout WriteTransaction) throws(LogError) -> T
    ) throws(LogError) -> T {
        try connection.use { database throws(LogError) in
            try statements.begin.run()
            do throws(LogError) {
                if database.version != knownVersion {
                    state = try queries.state()
                    known.removeAll(keepingCapacity: true)
                }
                knownVersion = nil
                var transaction = WriteTransaction(self, state, time, isBrief: isBrief)
                let result = try body(&transaction)
                try transaction.writeBack()
                try database.commit(statements.commit)
                state = transaction.state
                remember(transaction.touched)
                knownVersion = database.version
                return result
            } catch {
                // SQLite itself may have rolled back, as it does on a full disk.
                if database.isInsideTransaction { try statements.rollback.run() }
                throw error
            }
        }
    }

    /// A channel's row, unless there is no such channel; within a transaction that has not changed it.
    func channel(_ name: ChannelName) throws(LogError) -> ChannelRow? {
        if let row = known[name] { return row }
        return try queries.channel(name)
    }

    /// To be called before channels are removed.
    func forgetKnownChannels() { known.removeAll(keepingCapacity: true) }

    private func remember(_ touched: [ChannelName: ChannelRow]) {
        if known.count + touched.count > Self.mostKnown {
            known.removeAll(keepingCapacity: true)
            if touched.count > Self.mostKnown { return }
        }
        for (name, row) in touched {
            var row = row
            row.markChanged = false
            known[name] = row
        }
    }

    /// Under the gate, outside of transactions.
    func checkpoint(
        _ kind: Database.Checkpoint,
        patienceMilliseconds: Int32 = LogConnection.patienceMilliseconds
    ) throws(LogError) -> Database.Checkpointed {
        try connection.checkpoint(kind, patienceMilliseconds)
    }

    /// The pages of the log, also those that are only in the write-ahead log so far.
    func pages() throws(LogError) -> Int64 {
        try connection.use { database throws(LogError) in
            try database.fetchInteger("PRAGMA page_count") ?? 0
        }
    }

    /// Pages inside the file that hold nothing, and pages it may still grow by.
    func room() throws(LogError) -> (free: Int64, growth: Int64) {
        try connection.use { database throws(LogError) in
            let free = try database.fetchInteger("PRAGMA freelist_count") ?? 0
            let pages = try database.fetchInteger("PRAGMA page_count") ?? 0
            let limit = try database.fetchInteger("PRAGMA max_page_count") ?? 0
            return (free, max(0, limit - pages))
        }
    }

    /// Lets the file grow by so many pages; nil: up to the configured size.
    func limitGrowth(to pages: Int64?) throws(LogError) {
        try connection.use { database throws(LogError) in
            let limit: Int64
            if let pages {
                limit = pages + (try database.fetchInteger("PRAGMA page_count") ?? 0)
            } else {
                limit = connection.maximumPages
            }
            try database.execute("PRAGMA max_page_count = \(limit)")
        }
    }

    /// Whether the file's structure holds; reads all of it.
    func isSound() throws(LogError) -> Bool {
        try connection.use { database throws(LogError) in
            try database.fetchText("PRAGMA quick_check(1)") == "ok"
        }
    }
}
