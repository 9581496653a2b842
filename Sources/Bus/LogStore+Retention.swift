import Channels

extension LogStore {
    /// Rows that one visit of a channel may delete, so that a transaction stays short.
    static let trimPortion: Int64 = 2000

    /// Trims what the running transaction appended to beyond the bounds of its channels.
    func trimTouched(_ time: LogTime) throws {
        for name in Array(touched.keys) {
            guard var row = touched[name] else { continue }
            let retention = retention(name)
            // Trimming in steps of an eighth costs a publisher little; small counts are kept exactly.
            let slack = retention.count >= 8 ? retention.count / 8 : 0
            if row.count > retention.count + slack
                || row.bytes > retention.bytes + retention.bytes / 8
            {
                try trim(&row, to: retention, time)
                touched[name] = row
            }
        }
    }

    /// Removes the channel's oldest messages until it keeps to count, bytes and age; at most a portion of them.
    private func trim(_ row: inout ChannelRow, to retention: Retention, _ time: LogTime) throws {
        var through: Int64 = 0
        var removed: Int64 = 0
        var next: Int64?
        let tooOld = time.retention - retention.ageMilliseconds
        try writing.oldestOfChannel.bind(.integer(row.id), .integer(Self.trimPortion + 1))
        while try writing.oldestOfChannel.step() {
            let isDropped = writing.oldestOfChannel.integer(0) <= row.trimmedThrough
            let bytes = writing.oldestOfChannel.integer(1)
            let kept = writing.oldestOfChannel.integer(2)
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
            through = writing.oldestOfChannel.integer(0)
            row.count -= 1
            row.bytes -= bytes
            removed += 1
        }
        writing.oldestOfChannel.finish()
        if row.due != next { (row.due, row.markChanged) = (next, true) }
        guard removed > 0 else { return }
        try writing.deleteOldest.bind(.integer(row.id), .integer(through))
        try writing.deleteOldest.run()
        state.messages -= removed
        trimmedMessages += Int(removed)
        raise(&row, through: through)
    }

    private func raise(_ row: inout ChannelRow, through: Int64) {
        guard through > row.trimmedThrough else { return }
        stampTrim()
        row.mark(through: through, .trimmed)
        raised.append(row.trimMark)
    }

    /// This transaction raises a mark.
    private func stampTrim() {
        if trimmed { return }
        trimmed = true
        state.trimStamp += 1
    }

    /// Drops all messages of a channel, if it has any: the mark takes a place of its own in the order, and hides
    /// them at once. A portion is removed now, the rest by the chores, so that the transaction stays short.
    func drop(_ name: ChannelName, _ time: LogTime) throws {
        guard var row = try touched[name] ?? reading.channel(name), row.count > 0,
            row.lastOffset > row.trimmedThrough
        else { return }
        state.head += 1
        stampTrim()
        row.mark(through: state.head, .deleted)
        dropped.append(row.trimMark)
        try trim(&row, to: retention(name), time)
        touched[name] = row
    }

    /// What the clock has made due: messages too old for their channel or past their time to live, dropped ones that
    /// were not removed yet, old keys, quotas that nobody has used for a while.
    struct Chores {
        var channels: [ChannelName]
        var expired: Bool
        var keys: Bool
        var quotas: Bool
        var isEmpty: Bool { channels.isEmpty && !expired && !keys && !quotas }
    }

    /// Looks for chores without changing anything, so that an idle log is not written to.
    ///
    /// - Parameter walk: the number of the channel up to which all were looked at since the retention rules may have
    ///   changed; nil when that is done.
    func chores(_ time: LogTime, walk: inout Int64?, channelPortion: Int64) throws -> Chores {
        try connection.use { _ in
            var channels: [ChannelName] = []
            try writing.dueChannels.bind(.integer(time.retention), .integer(channelPortion))
            while try writing.dueChannels.step() {
                if let name = try? ChannelName(writing.dueChannels.text(0)) {
                    channels.append(name)
                }
            }
            if let start = walk {
                walk = nil
                try writing.channelsFrom.bind(.integer(start), .integer(channelPortion * 16))
                while try writing.channelsFrom.step() {
                    walk = writing.channelsFrom.integer(0)
                    guard let name = try? ChannelName(writing.channelsFrom.text(1)),
                        let row = try reading.channel(name)
                    else { continue }
                    let retention = retention(name)
                    let excess = row.count > retention.count || row.bytes > retention.bytes
                    if try excess || isTooOld(row, retention, time) {
                        channels.append(name)
                    }
                }
            }
            try writing.expired.bind(.integer(time.retention), .integer(1))
            let expired = try writing.expired.step()
            writing.expired.finish()
            let keys = try keys.hasOld(now: time.retention)
            try writing.anyOldQuota.bind(.integer(time.retention))
            let quotas = try writing.anyOldQuota.step()
            writing.anyOldQuota.finish()
            return Chores(channels: channels, expired: expired, keys: keys, quotas: quotas)
        }
    }

    private func isTooOld(_ row: ChannelRow, _ retention: Retention, _ time: LogTime) throws -> Bool
    {
        guard row.count > 0 else { return false }
        try writing.oldestOfChannel.bind(.integer(row.id), .integer(1))
        defer { writing.oldestOfChannel.finish() }
        return try writing.oldestOfChannel.step()
            && (writing.oldestOfChannel.integer(2) <= time.retention - retention.ageMilliseconds
                // A rule that was shortened makes the noted time too late.
                || (row.due ?? .max)
                    > writing.oldestOfChannel.integer(2) + retention.ageMilliseconds)
    }

    /// Does the chores, a bounded portion of each, in the running transaction.
    func perform(_ chores: Chores, _ time: LogTime) throws {
        // First, for what its time to live has ended is no gap.
        if chores.expired { try removeExpired(time, limit: 1000) }
        for name in chores.channels {
            guard var row = try touched[name] ?? reading.channel(name) else { continue }
            try trim(&row, to: retention(name), time)
            touched[name] = row
        }
        if chores.keys {
            state.keys -= try keys.prune(now: time.retention, limit: 1000)
        }
        if chores.quotas {
            try writing.pruneQuotas.bind(.integer(time.retention), .integer(1000))
            try writing.pruneQuotas.run()
        }
    }

    /// Forgets all idempotency keys: the log is full. Whether there were any. In a transaction of its own.
    func giveUpKeys(_ time: LogTime) throws -> Bool {
        try transaction(time) {
            guard state.keys > 0 else { return false }
            try keys.clear()
            state.keys = 0
            return true
        }
    }

    /// Removes messages past their time to live; that is no gap.
    private func removeExpired(_ time: LogTime, limit: Int64) throws {
        try writing.expired.bind(.integer(time.retention), .integer(limit))
        let found = try rows(writing.expired)
        for message in found {
            guard var row = try load(message.channel) else { continue }
            try writing.deleteMessage.bind(.integer(message.offset))
            try writing.deleteMessage.run()
            row.count -= 1
            row.bytes -= message.bytes
            touched[row.name] = row
        }
        state.messages -= Int64(found.count)
        expiredMessages += found.count
    }

    /// Trims the oldest messages of all channels, whatever they may keep: the log is full.
    func trimOldest(limit: Int64) throws {
        try writing.oldestOfAll.bind(.integer(limit))
        let found = try rows(writing.oldestOfAll)
        var through: [ChannelName: Int64] = [:]
        for message in found {
            guard var row = try load(message.channel) else { continue }
            try writing.deleteMessage.bind(.integer(message.offset))
            try writing.deleteMessage.run()
            row.count -= 1
            row.bytes -= message.bytes
            touched[row.name] = row
            through[row.name] = message.offset
        }
        for (name, offset) in through {
            guard var row = touched[name] else { continue }
            raise(&row, through: offset)
            touched[name] = row
        }
        state.messages -= Int64(found.count)
        trimmedMessages += found.count
    }

    private func rows(_ query: Query) throws -> [(offset: Int64, channel: Int64, bytes: Int64)] {
        var found: [(offset: Int64, channel: Int64, bytes: Int64)] = []
        while try query.step() {
            found.append((query.integer(0), query.integer(1), query.integer(2)))
        }
        return found
    }

    private func load(_ id: Int64) throws -> ChannelRow? {
        try writing.channelName.bind(.integer(id))
        guard try writing.channelName.step() else { return nil }
        let text = writing.channelName.text(0)
        writing.channelName.finish()
        guard let name = try? ChannelName(text) else { return nil }
        return try touched[name] ?? reading.channel(name)
    }
}
