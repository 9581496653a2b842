import Channels

/// The log's file on the disk: a value, so that a copy of it can be put back.
struct LogFile {
    /// The state of one channel.
    struct Row {
        var isKnown = false
        /// Those that can be read, ascending.
        var messages: [Message] = []
        var lastOffset: Int64 = 0
        var trimmedThrough: Int64 = 0
        var reason = GapReason.trimmed
        /// The stamp of the transaction that last raised the mark.
        var stamp = 0
    }

    private(set) var stretches: [EpochHistory.Stretch]
    /// The newest epoch, which no other file has.
    private(set) var number: Int
    private(set) var head: Int64
    private(set) var stamp = 0
    private(set) var forgottenThrough: Int64 = 0
    private(set) var rows: [Row]
    /// Everything after `recentBase`; nil if there is no message, or no longer one.
    private var recent: [Message?] = []
    private var recentBase: Int64 = 0
    private var keys: [(key: IdempotencyKey, append: Append, ids: [Cursor])] = []

    private static let recentLimit = 2048
    private static let keyLimit = 512

    init(channelCount: Int, first stretch: EpochHistory.Stretch, number: Int) {
        stretches = [stretch]
        rows = Array(repeating: Row(), count: channelCount)
        head = 0
        self.number = number
    }

    var epochs: EpochHistory { EpochHistory(stretches) }
    var epoch: Epoch { stretches[stretches.count - 1].epoch }

    func epoch(of offset: Int64) -> Epoch {
        (stretches.last { $0.start.value <= offset } ?? stretches[0]).epoch
    }

    mutating func begin(_ epoch: Epoch, told: Int64?, number: Int) {
        stretches.append(
            EpochHistory.Stretch(
                epoch: epoch,
                start: Offset(head + 1),
                told: told.map { Offset($0) }
            )
        )
        self.number = number
    }

    // MARK: Writing

    /// The effects of a transaction besides giving out offsets.
    struct Written {
        var messages: [Message] = []
        var dropped: [TrimMark] = []
        var raised: [TrimMark] = []
        var gone: [(offset: Int64, Ledger.Gone)] = []
        var outcomes: [(ticket: UInt64, AppendOutcome)] = []
    }

    struct Moment {
        var wall: Int64
        var retention: Int64
    }

    func use(of append: Append) -> AppendOutcome? {
        guard let key = append.idempotency,
            let use = keys.first(where: {
                $0.key == key && $0.append.channels == append.channels
            })
        else { return nil }
        return use.append.drafts == append.drafts && use.append.dropping == append.dropping
            ? .repeated(ids: use.ids) : .conflict
    }

    /// Appends one request; `channels` are the rows of its drafts and of what it drops.
    mutating func append(
        _ append: Append,
        drafts: [Int],
        dropping: [Int],
        at moment: Moment,
        keep: (Int) -> Int,
        names: [ChannelName],
        into written: inout Written
    ) {
        for row in drafts where !rows[row].isKnown {
            rows[row] = Row(isKnown: true, trimmedThrough: forgottenThrough)
        }
        for row in dropping
        where !rows[row].messages.isEmpty && rows[row].lastOffset > rows[row].trimmedThrough {
            head += 1
            recent.append(nil)
            mark(row, through: head, .deleted, &written)
            written.dropped.append(self.mark(of: row, names))
        }
        var ids: [Cursor] = []
        for (draft, row) in zip(append.drafts, drafts) {
            head += 1
            if let topic = draft.topic {
                for old in rows[row].messages where old.topic == topic {
                    forget(old)
                    written.gone.append((old.offset.value, .replaced))
                }
                rows[row].messages.removeAll { $0.topic == topic }
            }
            let message = Message(
                offset: Offset(head),
                epoch: epoch,
                channel: draft.channel,
                timeMilliseconds: moment.wall,
                kind: draft.kind,
                contentType: draft.contentType,
                body: draft.body,
                type: draft.type,
                expiresMilliseconds: draft.timeToLiveSeconds.map {
                    moment.retention + Int64($0) * 1000
                },
                topic: draft.topic
            )
            rows[row].messages.append(message)
            rows[row].lastOffset = head
            recent.append(message)
            written.messages.append(message)
            ids.append(message.id)
        }
        written.outcomes.append((append.ticket, .committed(ids: ids)))
        if let key = append.idempotency {
            keys.append((key, append, ids))
            if keys.count > Self.keyLimit { keys.removeFirst() }
        }
    }

    /// Ends a transaction: trims the channels that it has touched.
    mutating func trim(
        _ touched: [Int],
        keep: (Int) -> Int,
        names: [ChannelName],
        into written: inout Written
    ) {
        var isStamped = !written.dropped.isEmpty
        for row in touched {
            let excess = rows[row].messages.count - keep(row)
            guard excess > 0 else { continue }
            if !isStamped { stamp += 1 }
            isStamped = true
            let through = rows[row].messages[excess - 1].offset.value
            mark(row, through: through, .trimmed, &written)
            written.raised.append(mark(of: row, names))
        }
        if recent.count > 2 * Self.recentLimit {
            let surplus = recent.count - Self.recentLimit
            recent.removeFirst(surplus)
            recentBase += Int64(surplus)
        }
    }

    private mutating func mark(
        _ row: Int,
        through: Int64,
        _ reason: GapReason,
        _ written: inout Written
    ) {
        if reason == .deleted, written.dropped.isEmpty { stamp += 1 }
        let count = rows[row].messages.firstIndex(after: Offset(through))
        for message in rows[row].messages.prefix(count) {
            forget(message)
            written.gone.append((message.offset.value, reason == .deleted ? .deleted : .trimmed))
        }
        rows[row].messages.removeFirst(count)
        (rows[row].trimmedThrough, rows[row].reason) = (through, reason)
        rows[row].stamp = stamp
    }

    private mutating func forget(_ message: Message) {
        let place = Int(message.offset.value - recentBase - 1)
        if recent.indices.contains(place) { recent[place] = nil }
    }

    func mark(of row: Int, _ names: [ChannelName]) -> TrimMark {
        TrimMark(
            channel: names[row],
            through: Offset(rows[row].trimmedThrough),
            reason: rows[row].reason
        )
    }

    /// Removes messages that have outlived their own time, which is no gap.
    mutating func expire(now: Int64) -> [Int64] {
        var removed: [Int64] = []
        for row in rows.indices {
            guard rows[row].messages.contains(where: { $0.expiresMilliseconds ?? .max <= now })
            else { continue }
            for message in rows[row].messages where message.expiresMilliseconds ?? .max <= now {
                forget(message)
                removed.append(message.offset.value)
            }
            rows[row].messages.removeAll { $0.expiresMilliseconds ?? .max <= now }
        }
        return removed
    }

    /// Forgets channels without messages; their marks remain as the floor of the forgotten.
    mutating func forgetIdle(_ isWanted: (Int) -> Bool) {
        for row in rows.indices
        where rows[row].isKnown && rows[row].messages.isEmpty && isWanted(row) {
            forgottenThrough = max(forgottenThrough, rows[row].trimmedThrough)
            rows[row] = Row()
        }
    }

    // MARK: Following

    /// Whether what follows a position can be reported in batches.
    func canFollow(_ head: Int64, limit: Int) -> Bool {
        if min(forgottenThrough, self.head) > head || head < recentBase { return false }
        return self.head - head <= 8 || self.head - head <= Int64(max(64, limit))
    }

    /// What was committed since a position, in batches of this many messages.
    func follow(
        after position: (head: Int64, stamp: Int),
        names: [ChannelName],
        batch limit: Int
    ) -> [CommittedBatch] {
        var marks: [TrimMark] = []
        for row in rows.indices
        where rows[row].isKnown && rows[row].stamp > position.stamp
            && rows[row].trimmedThrough > 0
        {
            marks.append(mark(of: row, names))
        }
        var batches: [CommittedBatch] = []
        var previous = position.head
        var messages: [Message] = []
        func flush(to head: Int64) {
            let here = marks.filter { $0.through.value <= head }
            if previous == head, here.isEmpty { return }
            marks.removeAll { $0.through.value <= head }
            batches.append(
                CommittedBatch(
                    previous: Offset(previous),
                    head: Offset(head),
                    messages: messages,
                    trims: here,
                    forgottenThrough: Offset(min(forgottenThrough, position.head))
                )
            )
            (previous, messages) = (head, [])
        }
        if head > position.head {
            for message in recent[Int(position.head - recentBase)...] {
                guard let message else { continue }
                messages.append(message)
                if messages.count >= limit { flush(to: message.offset.value) }
            }
        }
        flush(to: max(head, previous))
        return batches
    }

    /// The newest part of the log.
    func state(names: [ChannelName], limit: Int, now: Int64) -> LogState {
        var messages: [Message] = []
        var floor = head
        for case let message? in recent.reversed() {
            if messages.count == limit { break }
            floor = message.offset.value - 1
            if message.expiresMilliseconds ?? .max > now { messages.append(message) }
        }
        var marks: [TrimMark] = []
        for row in rows.indices where rows[row].isKnown && rows[row].trimmedThrough > floor {
            marks.append(mark(of: row, names))
        }
        return LogState(
            epochs: epochs,
            head: Offset(head),
            floor: Offset(floor),
            messages: messages.reversed(),
            trims: marks,
            forgottenThrough: Offset(forgottenThrough)
        )
    }

    // MARK: Reading

    func history(_ request: HistoryRequest, rows places: [Int], names: [ChannelName], now: Int64)
        -> HistoryPage
    {
        var found: [Message] = []
        var newest: Int64 = 0
        var marks: [TrimMark] = []
        var begin: Int64 = 0
        var mayMiss = false
        if case .after(let offset) = request.start { (begin, mayMiss) = (offset.value, true) }
        let limit = max(1, request.messageLimit)
        func isAlive(_ message: Message) -> Bool { message.expiresMilliseconds ?? .max > now }
        for place in places {
            let row = rows[place]
            guard row.isKnown else {
                newest = max(newest, forgottenThrough)
                if begin < forgottenThrough {
                    marks.append(
                        TrimMark(
                            channel: names[place],
                            through: Offset(forgottenThrough),
                            reason: .trimmed
                        )
                    )
                }
                continue
            }
            newest = max(newest, row.lastOffset, row.trimmedThrough)
            if row.trimmedThrough > begin { marks.append(mark(of: place, names)) }
            let alive = row.messages.filter(isAlive)
            switch request.start {
            case .after(let offset):
                found += alive[alive.firstIndex(after: offset)...].prefix(limit + 1)
            case .first: found += alive.prefix(limit + 1)
            case .last(let count):
                let last = alive.suffix(count)
                found += last
                if let oldest = last.first {
                    marks.append(
                        TrimMark(
                            channel: names[place],
                            through: oldest.offset.previous,
                            reason: .trimmed
                        )
                    )
                }
            // All are as old as the step in which they were committed; none is too old.
            case .age: found += alive.prefix(limit + 1)
            case .newest: break
            }
        }
        found.sort { $0.offset < $1.offset }
        let taken = found.prefixWithin(messages: limit, bytes: request.byteLimit)
        let more = taken < found.count
        return HistoryPage(
            messages: Array(found.prefix(taken)),
            scanned: more ? found[taken - 1].offset : Offset(head),
            more: more,
            gap: mayMiss ? marks.max { $0.through < $1.through }?.reason : nil,
            marks: marks,
            newest: Offset(newest)
        )
    }

    func message(_ id: Cursor, now: Int64, row place: (ChannelName) -> Int) -> Message? {
        guard id.offset.value <= head, epoch(of: id.offset.value) == id.epoch else { return nil }
        for row in rows {
            if let message = row.messages.first(where: { $0.offset == id.offset }) {
                return message.expiresMilliseconds ?? .max > now ? message : nil
            }
        }
        return nil
    }

    func listing(_ selection: ChannelSelection, names: [ChannelName]) -> ChannelListing {
        let known = rows.indices.filter { rows[$0].isKnown }
            .sorted { names[$0].text < names[$1].text }
        func entry(_ row: Int) -> ChannelListing.Entry {
            let messages = rows[row].messages
            return ChannelListing.Entry(
                name: names[row],
                messages: messages.count,
                bytes: messages.reduce(0) { $0 + $1.body.count },
                newest: messages.last?.id,
                newestMilliseconds: messages.last?.timeMilliseconds
            )
        }
        switch selection {
        case .only(let name):
            return ChannelListing(
                entries: known.filter { names[$0] == name }.map(entry),
                next: nil
            )
        case .after(let name, let limit):
            let behind = known.filter { names[$0].text > name?.text ?? "" }
            let entries = behind.prefix(limit).map(entry)
            return ChannelListing(
                entries: entries,
                next: behind.count > limit ? entries.last?.name : nil
            )
        }
    }
}

extension Append {
    fileprivate var channels: [ChannelName] { drafts.map(\.channel) + dropping }
}
