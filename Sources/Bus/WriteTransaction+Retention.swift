import Channels

extension WriteTransaction {
    /// Rows that one visit of a channel may delete, so that a transaction stays short.
    static let trimPortion: Int64 = 2000
    /// The most that a brief transaction trims, of all channels together.
    private static let briefRows: Int64 = 64
    private static let briefBytes: Int64 = 64 << 10

    /// Trims what the running transaction appended to beyond the bounds of its channels.
    mutating func trimTouched() throws(LogError) {
        var excess = (rows: Int64(0), bytes: Int64(0))
        for name in Array(touched.keys) {
            guard var row = touched[name] else { continue }
            let retention = database.retention(name)
            // Trimming in steps of an eighth costs a publisher little; small counts are kept exactly.
            let slack = retention.count >= 8 ? retention.count / 8 : 0
            if row.count > retention.count + slack
                || row.bytes > retention.bytes + retention.bytes / 8
            {
                if isBrief {
                    add(row, retention, to: &excess)
                    guard excess.rows <= Self.briefRows, excess.bytes <= Self.briefBytes else {
                        throw LogError.wouldLast
                    }
                }
                try trim(&row, to: retention)
                touched[name] = row
            }
        }
    }

    /// Adds about what the channel has beyond its bounds.
    private func add(
        _ row: ChannelRow,
        _ retention: Retention,
        to excess: inout (rows: Int64, bytes: Int64)
    ) {
        let rows = max(0, row.count - Int64(retention.count))
        excess.rows += rows
        let average = row.bytes / max(1, row.count)
        excess.bytes += max(row.bytes - Int64(retention.bytes), average * rows)
    }

    /// Removes the channel's oldest messages until it keeps to count, bytes and age; at most a portion of them.
    mutating func trim(_ row: inout ChannelRow, to retention: Retention) throws(LogError) {
        var through: Int64 = 0
        var removed: Int64 = 0
        var next: Int64?
        let tooOld = time.retention - retention.ageMilliseconds
        try statements.oldestOfChannel.bind(row.id, Self.trimPortion + 1)
        while try statements.oldestOfChannel.step() {
            let isDropped = statements.oldestOfChannel.integer(0) <= row.trimmedThrough
            let bytes = statements.oldestOfChannel.integer(1)
            let kept = statements.oldestOfChannel.integer(2)
            // One message larger than all that the channel may keep is still kept until the next one comes.
            let excess =
                row.count > retention.count || (row.bytes > retention.bytes && row.count > 1)
            guard isDropped || excess || kept <= tooOld else {
                next = kept + retention.ageMilliseconds
                break
            }
            guard removed < Self.trimPortion else {
                next = time.retention
                leftOver = true
                break
            }
            through = statements.oldestOfChannel.integer(0)
            row.count -= 1
            row.bytes -= bytes
            removed += 1
        }
        statements.oldestOfChannel.finish()
        if row.due != next { (row.due, row.markChanged) = (next, true) }
        guard removed > 0 else { return }
        try statements.deleteOldest.bind(row.id, through)
        try statements.deleteOldest.run()
        state.messages -= removed
        trimmedMessages += Int(removed)
        raise(&row, through: through)
    }

    private mutating func raise(_ row: inout ChannelRow, through: Int64) {
        guard through > row.trimmedThrough else { return }
        stampTrim()
        row.mark(through: through, .trimmed)
        raised.append(row.trimMark)
    }

    /// Gives this transaction its own trim stamp, since it raises a mark.
    mutating func stampTrim() {
        if hasTrimStamp { return }
        hasTrimStamp = true
        state.trimStamp += 1
    }

    /// Drops all messages of a channel, if it has any: the mark takes an offset of its own and hides them at once. A
    /// portion is removed now and the rest by the chores, so that the transaction stays short.
    mutating func drop(_ name: ChannelName) throws(LogError) {
        guard var row = try channel(name), row.count > 0,
            row.lastOffset > row.trimmedThrough
        else { return }
        state.head += 1
        stampTrim()
        row.mark(through: state.head, .deleted)
        dropped.append(row.trimMark)
        try trim(&row, to: database.retention(name))
        touched[name] = row
    }

    /// Does the chores, a bounded portion of each, in the running transaction.
    mutating func perform(_ chores: WriterDatabase.Chores) throws(LogError) {
        // Expired messages first: their removal is no gap.
        if chores.expired { try removeExpired(limit: 1000) }
        for name in chores.channels {
            guard var row = try channel(name) else { continue }
            try trim(&row, to: database.retention(name))
            touched[name] = row
        }
        if chores.keys {
            state.keys -= try database.keys.prune(now: time.retention, limit: 1000)
        }
        if chores.quotas {
            try statements.pruneQuotas.bind(time.retention, 1000)
            try statements.pruneQuotas.run()
        }
    }

    /// Forgets all idempotency keys: the log is full. Whether there were any.
    mutating func giveUpKeys() throws(LogError) -> Bool {
        guard state.keys > 0 else { return false }
        try database.keys.clear()
        state.keys = 0
        return true
    }

    /// Removes messages past their time to live, which is no gap.
    private mutating func removeExpired(limit: Int64) throws(LogError) {
        try statements.expired.bind(time.retention, limit)
        let found = try rows(statements.expired)
        for message in found { _ = try remove(message) }
        state.messages -= Int64(found.count)
        expiredMessages += found.count
    }

    /// Trims the oldest messages of all channels, whatever they may keep: the log is full.
    mutating func trimOldest(limit: Int64) throws(LogError) {
        try statements.oldestOfAll.bind(limit)
        let found = try rows(statements.oldestOfAll)
        var through: [ChannelName: Int64] = [:]
        for message in found {
            if let name = try remove(message) { through[name] = message.offset }
        }
        // The joins of present members may be as old as that.
        if let table = database.engine,
            let newest = through.filter({ $0.key.isOwn }).values.max(), try newest > table.lack()
        {
            try table.noteLack(through: newest)
        }
        for (name, offset) in through {
            guard var row = touched[name] else { continue }
            raise(&row, through: offset)
            touched[name] = row
        }
        state.messages -= Int64(found.count)
        trimmedMessages += found.count
    }

    /// A message, as far as it matters for its removal.
    private typealias Stored = (offset: Int64, channel: Int64, bytes: Int64)

    /// Removes a message. Returns its channel; nil if there is no such channel.
    private mutating func remove(_ message: Stored) throws(LogError) -> ChannelName? {
        guard var row = try load(message.channel) else { return nil }
        try statements.deleteMessage.bind(message.offset)
        try statements.deleteMessage.run()
        row.count -= 1
        row.bytes -= message.bytes
        touched[row.name] = row
        return row.name
    }

    private func rows(_ query: PreparedStatement) throws(LogError) -> [Stored] {
        var found: [Stored] = []
        while try query.step() {
            found.append((query.integer(0), query.integer(1), query.integer(2)))
        }
        return found
    }

    private mutating func load(_ id: Int64) throws(LogError) -> ChannelRow? {
        try statements.channelName.bind(id)
        guard try statements.channelName.step() else { return nil }
        let text = statements.channelName.text(0)
        statements.channelName.finish()
        guard let name = try? ChannelName(text) else { return nil }
        return try channel(name)
    }
}
