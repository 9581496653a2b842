import Channels

extension WriteTransaction {
    /// The outcome of one append inside the running transaction.
    enum Written {
        case committed(first: Int64, count: Int64)
        case repeated(first: Int64, count: Int64)
        case conflict
        case overQuota(retrySeconds: Int?)
        case noMoreChannels
    }

    /// Drops channels, gives the drafts their offsets and stores them. Changes nothing unless it returns `.committed`.
    mutating func append(
        _ append: Append,
        epoch: Epoch,
        into messages: inout [Message]
    ) throws(LogError) -> Written {
        var keyed: (key: IdempotencyKey, digest: [UInt8])?
        if let key = append.idempotency {
            let digest = AppendDigest.of(append)
            if let use = try database.keys.use(of: key, append, now: time.retention) {
                return use.digest == digest
                    ? .repeated(first: use.first, count: use.count) : .conflict
            }
            keyed = (key, digest)
        }
        // Every possible refusal comes before the first change, so that a refused append leaves no trace; the quota
        // comes first, so that a publisher beyond it cannot create channels.
        var quota = QuotaUse()
        switch try charge(append, &quota) {
        case .taken: break
        case .wait(let microseconds):
            return .overQuota(retrySeconds: Int(microseconds / 1_000_000) + 1)
        case .never: return .overQuota(retrySeconds: nil)
        }
        guard try loadChannels(of: append) else { return .noMoreChannels }
        for name in append.dropping { try drop(name) }
        let first = state.head + 1
        for draft in append.drafts {
            messages.append(try store(draft, epoch, at: time))
        }
        // Also for a request that dropped nothing: its repetition must not drop messages that came later.
        try write(quota, of: append)
        let count = Int64(append.drafts.count)
        if let (key, digest) = keyed {
            state.keys = try database.keys.keep(
                KeyTable.Use(digest: digest, first: first, count: count),
                of: key,
                append,
                now: time.retention,
                count: state.keys
            )
        }
        return .committed(first: first, count: count)
    }

    /// Loads the channels of the drafts and makes those that are missing. Returns false, with nothing changed, if the log
    /// remembers as many channels as it may and too few of them are without messages.
    ///
    /// - Parameter always: makes them beyond the limit, too.
    mutating func loadChannels(of append: Append, always: Bool = false) throws(LogError) -> Bool {
        var loaded: [ChannelName] = []
        var missing: [ChannelName] = []
        for draft in append.drafts where touched[draft.channel] == nil {
            if let row = try database.channel(draft.channel) {
                touched[draft.channel] = row
                loaded.append(draft.channel)
            } else if !missing.contains(draft.channel) {
                missing.append(draft.channel)
            }
        }
        if missing.isEmpty { return true }
        for own in [false, true] {
            let excess = try excess(
                of: missing.count { $0.isOwn == own },
                own: own,
                toTheLast: append.takesLastPlaces
            )
            guard excess > 0, !always else { continue }
            // A 64th of all channels is forgotten at once.
            if isBrief { throw LogError.wouldLast }
            let inUse = Set(touched.values.map(\.id))
            guard try forgetIdleChannels(atLeast: excess, but: inUse, own: own) else {
                for name in loaded { touched[name] = nil }
                return false
            }
        }
        for name in missing { touched[name] = try makeChannel(name) }
        return true
    }

    /// What the publisher's quota would be after this append.
    func charge(
        _ append: Append,
        _ used: inout QuotaUse
    ) throws(LogError) -> QuotaUse.Outcome {
        guard let quota = append.quota else { return .taken }
        try statements.findQuota.bind(quota.publisher)
        if try statements.findQuota.step() {
            used.messagesFull = statements.findQuota.integer(0)
            used.bytesFull = statements.findQuota.integer(1)
        }
        statements.findQuota.finish()
        return used.take(
            max(1, append.drafts.count + append.dropping.count),
            bytes: append.bytes,
            of: quota.limits,
            now: time.retention * 1000
        )
    }

    func write(_ used: QuotaUse, of append: Append) throws(LogError) {
        guard let quota = append.quota else { return }
        try statements.insertQuota.bind(
            quota.publisher,
            used.messagesFull,
            used.bytesFull,
            max(used.messagesFull, used.bytesFull) / 1000 + 1
        )
        try statements.insertQuota.run()
    }

    /// - Parameter time: when it came.
    mutating func store(
        _ draft: Draft,
        _ epoch: Epoch,
        at time: LogTime
    ) throws(LogError) -> Message {
        guard var row = touched[draft.channel] else {
            preconditionFailure("a draft's channel is loaded before it is stored")
        }
        if let topic = draft.topic { try replace(topic, in: &row) }
        state.head += 1
        state.messages += 1
        let expires = draft.timeToLiveSeconds.map { time.retention + Int64($0) * 1000 }
        try statements.insertMessage.bind(
            state.head,
            row.id,
            time.wall,
            time.retention,
            expires,
            Int64(draft.kind.rawValue),
            draft.contentType,
            draft.type,
            draft.topic,
            draft.body
        )
        try statements.insertMessage.run()
        row.lastOffset = state.head
        row.count += 1
        row.bytes += Int64(draft.body.count)
        if row.due == nil {
            row.due = time.retention + database.retention(draft.channel).ageMilliseconds
            row.markChanged = true
        }
        touched[draft.channel] = row
        return Message(
            offset: Offset(state.head),
            epoch: epoch,
            channel: draft.channel,
            timeMilliseconds: time.wall,
            kind: draft.kind,
            contentType: draft.contentType,
            body: draft.body,
            type: draft.type,
            expiresMilliseconds: expires,
            topic: draft.topic
        )
    }

    /// Removes the channel's earlier message of the topic, which is no gap.
    private mutating func replace(_ topic: String, in row: inout ChannelRow) throws(LogError) {
        try statements.ofTopic.bind(row.id, topic)
        var found: [(offset: Int64, bytes: Int64)] = []
        while try statements.ofTopic.step() {
            found.append((statements.ofTopic.integer(0), statements.ofTopic.integer(1)))
        }
        for old in found {
            try statements.deleteMessage.bind(old.offset)
            try statements.deleteMessage.run()
            row.count -= 1
            row.bytes -= old.bytes
            state.messages -= 1
        }
    }

    private mutating func makeChannel(_ name: ChannelName) throws(LogError) -> ChannelRow {
        // A new channel starts with the floor of forgotten channels, since it may be one of them.
        try statements.insertChannel.bind(
            name.text,
            state.forgottenThrough,
            0
        )
        guard try statements.insertChannel.step() else {
            throw LogError.problem("log.sqlite did not give a new channel its number")
        }
        let id = statements.insertChannel.integer(0)
        statements.insertChannel.finish()
        state.channels += 1
        return ChannelRow(
            id: id,
            name: name,
            lastOffset: 0,
            count: 0,
            bytes: 0,
            due: nil,
            trimmedThrough: state.forgottenThrough,
            trimReason: .trimmed
        )
    }

    /// How many channels must be forgotten before this many of a kind can be made. Presence channels, which any visitor
    /// creates, have places of their own and take none of the others'.
    private func excess(of count: Int, own: Bool, toTheLast: Bool) throws(LogError) -> Int {
        guard count > 0, own || state.channels + Int64(count) > database.channelLimit else {
            return 0
        }
        try statements.countOwnChannels.bind()
        guard try statements.countOwnChannels.step() else { return 0 }
        let owned = statements.countOwnChannels.integer(0)
        statements.countOwnChannels.finish()
        let ownLimit = max(64, database.channelLimit / 4)
        let (there, limit) =
            own
            ? (owned, toTheLast ? ownLimit : ownLimit - ownLimit / 4)
            : (state.channels - owned, database.channelLimit)
        return Int(there + Int64(count) - limit)
    }

    /// Forgets those channels of a kind without messages that have been idle longest, a 64th of the limit at once.
    /// Returns false, and forgets none, if there are too few.
    private mutating func forgetIdleChannels(
        atLeast least: Int,
        but inUse: Set<Int64>,
        own: Bool
    ) throws(LogError) -> Bool {
        let portion = max(least, Int(database.channelLimit / 64))
        var idle: [(id: Int64, through: Int64)] = []
        // Loaded rows are not up to date in the file: ask for as many more as there are of these.
        try statements.idleChannels.bind(own ? 1 : 0, portion + inUse.count)
        while try statements.idleChannels.step() {
            idle.append((statements.idleChannels.integer(0), statements.idleChannels.integer(1)))
        }
        let forgotten = idle.filter { !inUse.contains($0.id) }.prefix(portion)
        guard forgotten.count >= least else { return false }
        database.forgetKnownChannels()
        for channel in forgotten {
            try statements.deleteChannel.bind(channel.id)
            try statements.deleteChannel.run()
            state.channels -= 1
            state.forgottenThrough = max(state.forgottenThrough, channel.through)
        }
        return true
    }
}
