import Channels

extension WriterDatabase {
    /// What is due: messages too old for their channel or past their time to live, dropped messages that are still in
    /// the file, old keys, quotas that are no longer in use.
    struct Chores {
        var channels: [ChannelName]
        var expired: Bool
        var keys: Bool
        var quotas: Bool
        /// Whether more may be due when these are done.
        var mayBeMore: Bool {
            channels.count >= Int(WriterDatabase.channelPortion) || expired || keys || quotas
        }
    }

    /// A portion of channels that one turn of chores visits.
    private static let channelPortion: Int64 = 64

    /// Looks for chores without changing anything, so that an idle log is not written to.
    ///
    /// - Parameter walk: the number of the channel up to which all were looked at since the retention rules may have
    ///   changed; nil when that is done.
    func chores(_ time: LogTime, walk: inout Int64?) throws(LogError) -> Chores {
        try connection.use { _ throws(LogError) in
            var channels: [ChannelName] = []
            try statements.dueChannels.bind(time.retention, Self.channelPortion)
            while try statements.dueChannels.step() {
                if let name = try? ChannelName(statements.dueChannels.text(0)) {
                    channels.append(name)
                }
            }
            if let start = walk {
                walk = nil
                try statements.channelsFrom.bind(start, Self.channelPortion * 16)
                while try statements.channelsFrom.step() {
                    walk = statements.channelsFrom.integer(0)
                    guard let name = try? ChannelName(statements.channelsFrom.text(1)),
                        let row = try queries.channel(name)
                    else { continue }
                    let retention = retention(name)
                    let excess = row.count > retention.count || row.bytes > retention.bytes
                    if excess {
                        channels.append(name)
                    } else if try isTooOld(row, retention, time) {
                        channels.append(name)
                    }
                }
            }
            try statements.expired.bind(time.retention, 1)
            let expired = try statements.expired.step()
            statements.expired.finish()
            let keys = try keys.hasOld(now: time.retention)
            try statements.anyOldQuota.bind(time.retention)
            let quotas = try statements.anyOldQuota.step()
            statements.anyOldQuota.finish()
            return Chores(channels: channels, expired: expired, keys: keys, quotas: quotas)
        }
    }

    private func isTooOld(_ row: ChannelRow, _ retention: Retention, _ time: LogTime)
        throws(LogError) -> Bool
    {
        guard row.count > 0 else { return false }
        try statements.oldestOfChannel.bind(row.id, 1)
        defer { statements.oldestOfChannel.finish() }
        return try statements.oldestOfChannel.step()
            && (statements.oldestOfChannel.integer(2) <= time.retention - retention.ageMilliseconds
                // A rule that was shortened makes the noted time too late.
                || (row.due ?? .max)
                    > statements.oldestOfChannel.integer(2) + retention.ageMilliseconds)
    }
}
