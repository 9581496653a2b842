import Channels
import Engine

/// Applies to the local log what the engine committed: at the engine's offsets, without refusals.
extension WriteTransaction {
    /// Stores a group, whose base follows the log's end.
    mutating func apply(
        _ records: [GroupBody.Record],
        of group: EngineGroup,
        epoch: Epoch,
        into messages: inout [Message],
        _ table: EngineTable
    ) throws(LogError) {
        let drafts = records.compactMap { record -> Draft? in
            if case .message(let draft) = record { draft } else { nil }
        }
        try loadOrMakeRoom(for: Append(ticket: 0, drafts: drafts), table)
        // Age and time to live count from the time at which the engine had it, on this machine's clock.
        var time = time
        time.wall = group.milliseconds
        time.retention = max(0, time.retention - group.ageMilliseconds)
        for record in records {
            switch record {
            case .message(let draft): messages.append(try store(draft, epoch, at: time))
            case .drop(let name): try dropApplied(name)
            case .unknown: state.head += 1
            }
        }
    }

    /// A drop takes its offset even if this machine keeps nothing of the channel, since others may.
    private mutating func dropApplied(_ name: ChannelName) throws(LogError) {
        state.head += 1
        guard var row = try channel(name), row.count > 0, row.lastOffset > row.trimmedThrough else {
            return
        }
        stampTrim()
        row.mark(through: state.head, .deleted)
        dropped.append(row.trimMark)
        try trim(&row, to: database.retention(name))
        touched[name] = row
    }

    /// If the log remembers as many channels as it may and all have messages, those that have been quiet for the
    /// longest are trimmed and forgotten.
    private mutating func loadOrMakeRoom(for append: Append, _ table: EngineTable)
        throws(LogError)
    {
        while try !loadChannels(of: append) {
            let inUse = Set(touched.values.map(\.id))
            let isOwn = append.drafts.contains { touched[$0.channel] == nil && $0.channel.isOwn }
            try table.quietestChannels.bind(isOwn ? 1 : 0, inUse.count + 64)
            var quiet: [(id: Int64, last: Int64, count: Int64)] = []
            while try table.quietestChannels.step() {
                quiet.append(
                    (
                        table.quietestChannels.integer(0),
                        table.quietestChannels.integer(1),
                        table.quietestChannels.integer(2)
                    )
                )
            }
            let leaving = quiet.filter { !inUse.contains($0.id) }.prefix(64)
            guard !leaving.isEmpty else {
                // One group alone exceeds the limit: it is applied nevertheless, and the next one makes room.
                _ = try loadChannels(of: append, always: true)
                return
            }
            database.forgetKnownChannels()
            for channel in leaving {
                try statements.deleteOldest.bind(channel.id, Int64.max)
                try statements.deleteOldest.run()
                try statements.deleteChannel.bind(channel.id)
                try statements.deleteChannel.run()
                state.messages -= channel.count
                trimmedMessages += Int(channel.count)
                state.channels -= 1
                state.forgottenThrough = max(state.forgottenThrough, channel.last)
            }
        }
    }

    /// Adds an epoch of the site, unless it is known from before a rewind.
    mutating func adopt(_ epoch: EngineEpoch, _ table: EngineTable) throws(LogError) {
        guard try !table.knows(epoch.epoch) else { return }
        state.epoch += 1
        try statements.insertEpoch.bind(state.epoch, epoch.epoch.name, epoch.start, epoch.told)
        try statements.insertEpoch.run()
        try statements.pruneEpochs.bind(state.epoch - 1000)
        try statements.pruneEpochs.run()
    }

    /// Drops the log's content, and begins where the engine's begins.
    mutating func restart(at anchor: EngineAnchor, of site: String, _ table: EngineTable)
        throws(LogError)
    {
        database.forgetKnownChannels()
        touched = [:]
        try table.deleteAllMessages.run()
        try table.deleteAllChannels.run()
        try table.deleteAllEpochs.run()
        stampTrim()
        (state.channels, state.messages) = (0, 0)
        (state.head, state.forgottenThrough) = (anchor.head, anchor.head)
        // Numbers are this log's own, and only rise, so that every process notices.
        for epoch in anchor.epochs { try adopt(epoch, table) }
        try table.forget(above: -1)
        try table.move(to: anchor.position, of: site, head: anchor.head)
        try table.noteLack(through: anchor.head)
    }

    /// Whether this many channels are in use that a group which follows gets a transaction of its own: channels in use
    /// cannot be forgotten to make room.
    var hasManyChannels: Bool { touched.count > Int(database.channelLimit / 2) }

    /// Removes what was applied after an entry.
    ///
    /// What that had replaced by topic, or dropped, stays gone here: a mark records what was dropped, and the epoch
    /// that follows tells every reader of the loss.
    mutating func rewind(to head: Int64, _ table: EngineTable) throws(LogError) {
        database.forgetKnownChannels()
        touched = [:]
        stampTrim()
        try table.deleteMessagesAbove.bind(head)
        try table.deleteMessagesAbove.run()
        try table.rewindChannels.bind(
            head,
            head,
            state.trimStamp,
            head,
            head
        )
        try table.rewindChannels.run()
        try table.deleteEpochsAbove.bind(head + 1)
        try table.deleteEpochsAbove.run()
        // The newest epoch gets another number, so that every process notices.
        state.epoch += 1
        try table.renumberEpoch.bind(state.epoch)
        try table.renumberEpoch.run()
        try table.countMessages.bind()
        if try table.countMessages.step() {
            state.messages = table.countMessages.integer(0)
        }
        table.countMessages.finish()
        try table.noteLack(through: head)
        state.head = head
        state.forgottenThrough = min(state.forgottenThrough, head)
    }
}
