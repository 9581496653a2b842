import Channels
import Configuration

/// The times of one turn.
struct LogTime {
    /// Milliseconds since 1970.
    var wall: Int64
    /// The retention clock's.
    var retention: Int64
    var sinceBoot: Int64
}

/// The writer's view of the log's file: transactions that append, trim and begin epochs.
///
/// For the writer thread, under the gate. Every method that changes something works on `state`, the row of the
/// running transaction, and on `touched`, the channels it loaded; `commit` writes them back.
final class LogStore {
    let reading: LogReading
    let writing: LogWriting
    let keys: KeyTable
    /// After the statements: it can close when they are gone.
    let connection: LogConnection
    let channelLimit: Int64
    var retention: @Sendable (ChannelName) -> Retention

    /// Of the running transaction.
    var state: StateRow
    var touched: [ChannelName: ChannelRow] = [:]
    /// Whether this transaction raised a mark, and so has its own trim stamp.
    var trimmed = false
    /// Marks raised in this transaction by retention, and those by publishers who dropped a channel's messages.
    var raised: [TrimMark] = []
    var dropped: [TrimMark] = []
    /// Whether a channel had more to remove than a portion.
    var leftOver = false
    /// By how many milliseconds the wall clock was set since the newest commit, as this transaction found it.
    private(set) var clockSlip: Int64 = 0
    var trimmedMessages = 0
    var expiredMessages = 0

    /// Opens the file, made before, and its tables if they are missing.
    init(
        path: String,
        settings: BusSettings,
        channelLimit: Int,
        retention: @escaping @Sendable (ChannelName) -> Retention
    ) throws {
        self.channelLimit = Int64(channelLimit)
        self.retention = retention
        let connection = try LogConnection(path: path, settings: settings, readOnly: false)
        (reading, writing, keys, state) = try connection.use { database in
            try LogSchema.prepare(database)
            let reading = try LogReading(database)
            let keys = try KeyTable(database, logBytes: settings.maxBytes)
            return (reading, try LogWriting(database), keys, try reading.state())
        }
        self.connection = connection
    }

    /// Runs the body, which only reads, on one state of the log; without the gate, too.
    func look<T>(_ body: () throws -> T) throws -> T {
        try connection.use { database in
            try writing.beginReading.run()
            defer { if database.isInsideTransaction { try? writing.commit.run() } }
            state = try reading.state()
            return try body()
        }
    }

    /// Runs the body in one immediate transaction that ends committed, or as if nothing had been.
    func transaction<T>(_ time: LogTime, _ body: () throws -> T) throws -> T {
        try connection.use { database in
            try writing.begin.run()
            do {
                forget()
                state = try reading.state()
                let before = state
                clockSlip = state.slip(at: time)
                // Else it would count as time gone by at the next boot.
                if clockSlip != 0 { state.note(time) }
                let result = try body()
                try writeBack(time, before: before)
                try writing.commit.run()
                touched.removeAll(keepingCapacity: true)
                return result
            } catch {
                forget()
                // SQLite itself may have rolled back, as it does on a full disk.
                if database.isInsideTransaction { try writing.rollback.run() }
                throw error
            }
        }
    }

    private func forget() {
        touched.removeAll(keepingCapacity: true)
        (raised, dropped) = ([], [])
        (trimmed, leftOver) = (false, false)
        trimmedMessages = 0
        expiredMessages = 0
    }

    private func writeBack(_ time: LogTime, before: StateRow) throws {
        for row in touched.values {
            if row.markChanged {
                try writing.updateChannelMark.bind(
                    .integer(row.lastOffset),
                    .integer(row.count),
                    .integer(row.bytes),
                    .optional(row.due),
                    .integer(row.trimmedThrough),
                    .integer(row.trimReason.stored),
                    .integer(state.trimStamp),
                    .integer(row.id)
                )
                try writing.updateChannelMark.run()
            } else {
                try writing.updateChannel.bind(
                    .integer(row.lastOffset),
                    .integer(row.count),
                    .integer(row.bytes),
                    .integer(row.id)
                )
                try writing.updateChannel.run()
            }
        }
        if state == before { return }
        state.note(time)
        try writing.updateState.bind(
            .integer(state.head),
            .integer(state.trimStamp),
            .integer(state.forgottenThrough),
            .integer(state.epoch),
            .integer(state.channels),
            .integer(state.messages),
            .integer(state.keys),
            .integer(state.clock),
            .integer(state.clockBoot),
            .integer(state.clockWall),
            .text(state.boot)
        )
        try writing.updateState.run()
    }

    /// Begins a new epoch after the newest message; the epochs of about a thousand boots are remembered.
    ///
    /// - Parameters:
    ///   - told: how far publishers and subscribers had been told, by the newest epoch they knew, at the least.
    ///   - isProved: and no further. Else everybody who reads on from before is told of a gap.
    func beginEpoch(told: Channels.Cursor?, isProved: Bool) throws {
        let stretches = try reading.epochs()?.stretches ?? []
        var known: Int64?
        if let told, let at = stretches.lastIndex(where: { $0.epoch == told.epoch }) {
            if at == stretches.count - 1 {
                known = isProved ? told.offset.value : nil
            } else {
                // The file has been written to elsewhere since, from an end that may be before what was told here. What
                // was told there nobody knows.
                let next = stretches[at + 1].epoch
                try writing.raiseTold.bind(.integer(told.offset.value), .text(next.name))
                try writing.raiseTold.run()
            }
        }
        var generator = SystemRandomNumberGenerator()
        state.epoch += 1
        try writing.insertEpoch.bind(
            .integer(state.epoch),
            .text(Epoch.random(using: &generator).name),
            .integer(state.head + 1),
            .optional(known)
        )
        try writing.insertEpoch.run()
        try writing.pruneEpochs.bind(.integer(state.epoch - 1000))
        try writing.pruneEpochs.run()
    }

    /// Under the gate, outside of transactions.
    func checkpoint(
        _ kind: Database.Checkpoint,
        patienceMilliseconds: Int32 = LogConnection.patienceMilliseconds
    ) throws(DatabaseError) -> Database.Checkpointed {
        try connection.checkpoint(kind, patienceMilliseconds)
    }

    /// Pages inside the file that hold nothing, and pages it may still grow by.
    func room() throws -> (free: Int64, growth: Int64) {
        try connection.use { database in
            let free = try database.fetchInteger("PRAGMA freelist_count") ?? 0
            let pages = try database.fetchInteger("PRAGMA page_count") ?? 0
            let limit = try database.fetchInteger("PRAGMA max_page_count") ?? 0
            return (free, max(0, limit - pages))
        }
    }

    /// Lets the file grow by so many pages; nil: up to the configured size.
    func limitGrowth(to pages: Int64?) throws {
        try connection.use { database in
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
    func isSound() throws -> Bool {
        try connection.use { database in
            try database.fetchText("PRAGMA quick_check(1)") == "ok"
        }
    }
}

extension StateRow {
    var moment: RetentionClock.Moment {
        RetentionClock.Moment(
            milliseconds: clock,
            bootMilliseconds: clockBoot,
            wallMilliseconds: clockWall
        )
    }

    /// How far the wall clock has gone from where it would be now; 0 where that is no more than clocks do.
    func slip(at time: LogTime) -> Int64 {
        let slip = (time.wall - clockWall) - (time.retention - clock)
        return abs(slip) > RetentionClock.toleranceMilliseconds ? slip : 0
    }

    /// From here the retention clock is told again after a restart.
    mutating func note(_ time: LogTime) {
        (clock, clockBoot, clockWall) = (time.retention, time.sinceBoot, time.wall)
    }
}
