import Channels

/// The reader's queries: ranges of the log for some channels, always limited and read to the end.
struct HistoryQueries {
    let queries: LogQueries
    let begin: PreparedStatement
    let end: PreparedStatement
    private let after: PreparedStatement
    private let live: PreparedStatement
    private let newest: PreparedStatement
    private let messageAt: PreparedStatement
    private let oneChannel: PreparedStatement
    private let channelsAfter: PreparedStatement

    init(_ database: Database) throws(LogError) {
        queries = try LogQueries(database)
        begin = try PreparedStatement(database, "BEGIN")
        end = try PreparedStatement(database, "COMMIT")
        let isLive = "kept > ? AND (expires IS NULL OR expires > ?)"
        after = try PreparedStatement(
            database,
            """
            SELECT offset, kept, expires FROM messages WHERE channel = ? AND offset > ?
            ORDER BY offset
            """
        )
        live = try PreparedStatement(
            database,
            """
            SELECT offset FROM messages WHERE channel = ? AND offset > ? AND \(isLive)
            ORDER BY offset LIMIT ?
            """
        )
        newest = try PreparedStatement(
            database,
            """
            SELECT offset FROM messages WHERE channel = ? AND offset > ? AND \(isLive)
            ORDER BY offset DESC LIMIT ?
            """
        )
        messageAt = try PreparedStatement(
            database,
            """
            SELECT \(LogQueries.columns) FROM messages m CROSS JOIN channels c ON c.id = m.channel
            WHERE m.offset = ?
            """
        )
        let channels = """
            SELECT c.name, c.count, c.bytes, m.offset, m.time
            FROM channels c LEFT JOIN messages m ON m.offset = c.last_offset
            """
        oneChannel = try PreparedStatement(database, "\(channels) WHERE c.name = ? LIMIT ?")
        channelsAfter = try PreparedStatement(
            database,
            "\(channels) WHERE c.name > ? ORDER BY c.name LIMIT ?"
        )
    }

    /// Answers a request within the running transaction, whose state row is given.
    func read(
        _ request: HistoryRequest,
        state: StateRow,
        epochs: EpochHistory,
        now: Int64,
        retention: (ChannelName) -> Retention
    ) throws(LogError) -> HistoryPage {
        var offsets: [Int64] = []
        // Messages beyond the cursor that are too old. Times need not rise with offsets, so they may be anywhere.
        var aged: [(channel: ChannelName, offset: Int64)] = []
        var newestOfAll: Int64 = 0
        var marks: [TrimMark] = []
        func mark(_ name: ChannelName, _ through: Int64, _ reason: GapReason) {
            marks.append(TrimMark(channel: name, through: Offset(through), reason: reason))
        }
        let limit = max(1, request.messageLimit)
        for name in Set(request.channels) {
            guard let row = try queries.channel(name) else {
                newestOfAll = max(newestOfAll, state.forgottenThrough)
                if request.begin < state.forgottenThrough {
                    mark(name, state.forgottenThrough, .trimmed)
                }
                continue
            }
            newestOfAll = max(newestOfAll, row.lastOffset, row.trimmedThrough)
            // A message that is too old counts as removed, even if the writer has not removed it yet.
            let tooOld = now - retention(name).ageMilliseconds
            if row.trimmedThrough > request.begin {
                mark(name, row.trimmedThrough, row.trimReason)
            }
            switch request.start {
            case .after(let offset):
                let kept = max(offset.value, row.trimmedThrough)
                var found = 0
                try after.bind(row.id, kept)
                while found <= limit, try after.step() {
                    if after.optionalInteger(2) ?? .max <= now { continue }
                    if after.integer(1) <= tooOld {
                        aged.append((name, after.integer(0)))
                    } else {
                        offsets.append(after.integer(0))
                        found += 1
                    }
                }
                after.finish()
            case .first:
                offsets += try list(row.id, after: row.trimmedThrough, tooOld, now, limit + 1)
            case .last(let count):
                try newest.bind(
                    row.id,
                    row.trimmedThrough,
                    tooOld,
                    now,
                    count
                )
                var oldest: Int64?
                while try newest.step() {
                    oldest = newest.integer(0)
                    offsets.append(newest.integer(0))
                }
                // A reader that continues after a part of these must not be given the messages before them.
                if let oldest { mark(name, oldest - 1, .trimmed) }
            case .age(let milliseconds):
                offsets += try list(
                    row.id,
                    after: row.trimmedThrough,
                    max(tooOld, now - milliseconds),
                    now,
                    limit + 1
                )
            case .newest:
                break
            }
        }
        offsets.sort()
        var messages: [Message] = []
        var bytes = 0
        var more = false
        for offset in offsets {
            if messages.count == limit {
                more = true
                break
            }
            guard let message = try fetch(offset, epochs) else { continue }
            bytes += message.body.count
            if bytes > request.byteLimit, !messages.isEmpty {
                more = true
                break
            }
            messages.append(message)
        }
        let scanned = (more ? messages.last?.offset : nil) ?? Offset(state.head)
        // Those beyond are reported when the reader gets there.
        let met = aged.lazy.filter { $0.offset <= scanned.value }.map { ($0.channel, $0.offset) }
        for (name, through) in Dictionary(met, uniquingKeysWith: max) {
            mark(name, through, .trimmed)
        }
        return HistoryPage(
            messages: messages,
            scanned: scanned,
            more: more,
            gap: request.mayMiss ? marks.max { $0.through < $1.through }?.reason : nil,
            marks: marks,
            newest: Offset(newestOfAll)
        )
    }

    /// The message of that id, if it may still be replayed.
    func message(
        _ id: Channels.Cursor,
        state: StateRow,
        epochs: EpochHistory,
        now: Int64,
        retention: (ChannelName) -> Retention
    ) throws(LogError) -> Message? {
        guard id.offset.value <= state.head, epochs.epoch(of: id.offset) == id.epoch,
            let message = try fetch(id.offset.value, epochs),
            message.expiresMilliseconds ?? .max > now,
            let row = try queries.channel(message.channel), row.trimmedThrough < id.offset.value
        else { return nil }
        // `kept` is what retention goes by; the wall clock's time is only shown.
        try after.bind(row.id, id.offset.value - 1)
        guard try after.step() else { return nil }
        defer { after.finish() }
        return after.integer(1) > now - retention(message.channel).ageMilliseconds
            ? message : nil
    }

    /// Channels in the order of their names, from this one on.
    func channels(
        _ selection: ChannelSelection,
        epochs: EpochHistory
    ) throws(LogError) -> ChannelListing {
        let (query, name, limit) =
            switch selection {
            case .only(let name): (oneChannel, name.text, 1)
            case .after(let name, let limit): (channelsAfter, name?.text ?? "", limit)
            }
        var entries: [ChannelListing.Entry] = []
        // One more tells whether there are more.
        try query.bind(name, limit + 1)
        defer { query.finish() }
        while try query.step() {
            guard let name = try? ChannelName(query.text(0)) else { continue }
            if entries.count == limit {
                return ChannelListing(entries: entries, next: entries.last?.name)
            }
            let newest = query.optionalInteger(3).map { Offset($0) }
            entries.append(
                ChannelListing.Entry(
                    name: name,
                    messages: Int(query.integer(1)),
                    bytes: Int(query.integer(2)),
                    newest: newest.map { Channels.Cursor(epoch: epochs.epoch(of: $0), offset: $0) },
                    newestMilliseconds: query.optionalInteger(4)
                )
            )
        }
        return ChannelListing(entries: entries, next: nil)
    }

    private func list(
        _ channel: Int64,
        after offset: Int64,
        _ tooOld: Int64,
        _ now: Int64,
        _ limit: Int
    ) throws(LogError) -> [Int64] {
        var offsets: [Int64] = []
        try live.bind(
            channel,
            offset,
            tooOld,
            now,
            limit
        )
        while try live.step() { offsets.append(live.integer(0)) }
        return offsets
    }

    private func fetch(_ offset: Int64, _ epochs: EpochHistory) throws(LogError) -> Message? {
        try messageAt.bind(offset)
        guard try messageAt.step() else { return nil }
        defer { messageAt.finish() }
        return try LogQueries.message(messageAt, epochs)
    }
}

extension HistoryRequest {
    /// The offset after which the request begins; 0 if it begins with whatever is there.
    fileprivate var begin: Int64 {
        if case .after(let offset) = start { offset.value } else { 0 }
    }

    /// Whether the request continues from a position, so that messages may be missing there.
    fileprivate var mayMiss: Bool {
        if case .after = start { true } else { false }
    }
}
