import Channels
import Text

extension LogStore {
    /// What became of one append inside the running transaction.
    enum Written {
        case committed(first: Int64, count: Int64)
        case repeated(first: Int64, count: Int64)
        case conflict
        case overQuota(retrySeconds: Int?)
        case noMoreChannels
    }

    /// Drops what is to be dropped, gives the drafts their places and stores them; nothing is changed unless the answer
    /// is `.committed`.
    func append(
        _ append: Append,
        _ time: LogTime,
        epoch: Epoch,
        into messages: inout [Message]
    ) throws -> Written {
        var keyed: (key: IdempotencyKey, digest: [UInt8])?
        if let key = append.idempotency {
            let digest = AppendDigest.of(append)
            if let use = try keys.use(of: key, append, now: time.retention) {
                return use.digest == digest
                    ? .repeated(first: use.first, count: use.count) : .conflict
            }
            keyed = (key, digest)
        }
        // All that may refuse this append comes before anything is written, so that it leaves no trace: first its quota,
        // so that nobody makes channels beyond it.
        var quota = QuotaUse()
        switch try charge(append, time, &quota) {
        case .taken: break
        case .wait(let microseconds):
            return .overQuota(retrySeconds: Int(microseconds / 1_000_000) + 1)
        case .never: return .overQuota(retrySeconds: nil)
        }
        guard try loadChannels(of: append) else { return .noMoreChannels }
        for name in append.dropping { try drop(name, time) }
        let first = state.head + 1
        for draft in append.drafts {
            messages.append(try store(draft, time, epoch))
        }
        // Also of who has dropped what was not there: his repeat is not to drop what comes later.
        try write(quota, of: append)
        let count = Int64(append.drafts.count)
        if let (key, digest) = keyed {
            state.keys = try keys.keep(
                KeyTable.Use(digest: digest, first: first, count: count),
                of: key,
                append,
                now: time.retention,
                count: state.keys
            )
        }
        return .committed(first: first, count: count)
    }

    /// Loads the channels of the drafts and makes those that are missing. False, with nothing changed, where the log
    /// remembers as many channels as it may and too few of them are without messages.
    private func loadChannels(of append: Append) throws -> Bool {
        var found: [ChannelName: ChannelRow] = [:]
        var missing: [ChannelName] = []
        for draft in append.drafts
        where touched[draft.channel] == nil && found[draft.channel] == nil {
            if let row = try reading.channel(draft.channel) {
                found[draft.channel] = row
            } else if !missing.contains(draft.channel) {
                missing.append(draft.channel)
            }
        }
        for own in [false, true] {
            let excess = try excess(
                of: missing.count { $0.isOwn == own },
                own: own,
                toTheLast: append.takesLastPlaces
            )
            guard excess > 0 else { continue }
            let inUse = Set(touched.values.map(\.id)).union(found.values.map(\.id))
            guard try forgetIdleChannels(atLeast: excess, but: inUse, own: own) else {
                return false
            }
        }
        touched.merge(found) { row, _ in row }
        for name in missing { touched[name] = try makeChannel(name) }
        return true
    }

    /// What the publisher's quota would be after this append.
    private func charge(
        _ append: Append,
        _ time: LogTime,
        _ used: inout QuotaUse
    ) throws -> QuotaUse.Outcome {
        guard let quota = append.quota else { return .taken }
        try writing.findQuota.bind(.text(quota.publisher))
        if try writing.findQuota.step() {
            used.messagesFull = writing.findQuota.integer(0)
            used.bytesFull = writing.findQuota.integer(1)
        }
        writing.findQuota.finish()
        return used.take(
            max(1, append.drafts.count + append.dropping.count),
            bytes: append.drafts.reduce(0) { $0 + $1.body.count },
            of: quota.limits,
            now: time.retention * 1000
        )
    }

    private func write(_ used: QuotaUse, of append: Append) throws {
        guard let quota = append.quota else { return }
        try writing.insertQuota.bind(
            .text(quota.publisher),
            .integer(used.messagesFull),
            .integer(used.bytesFull),
            .integer(max(used.messagesFull, used.bytesFull) / 1000 + 1)
        )
        try writing.insertQuota.run()
    }

    private func store(_ draft: Draft, _ time: LogTime, _ epoch: Epoch) throws -> Message {
        guard var row = touched[draft.channel] else {
            preconditionFailure("a draft's channel is loaded before it is stored")
        }
        if let topic = draft.topic { try replace(topic, in: &row) }
        state.head += 1
        state.messages += 1
        let expires = draft.timeToLiveSeconds.map { time.retention + Int64($0) * 1000 }
        try writing.insertMessage.bind(
            .integer(state.head),
            .integer(row.id),
            .integer(time.wall),
            .integer(time.retention),
            .optional(expires),
            .integer(Int64(draft.kind.rawValue)),
            .text(draft.contentType),
            .optional(draft.type),
            .optional(draft.topic),
            .blob(draft.body)
        )
        try writing.insertMessage.run()
        row.lastOffset = state.head
        row.count += 1
        row.bytes += Int64(draft.body.count)
        if row.due == nil {
            row.due = time.retention + retention(draft.channel).ageMilliseconds
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

    /// Removes the channel's earlier message of the topic; that is no gap.
    private func replace(_ topic: String, in row: inout ChannelRow) throws {
        try writing.ofTopic.bind(.integer(row.id), .text(topic))
        var found: [(offset: Int64, bytes: Int64)] = []
        while try writing.ofTopic.step() {
            found.append((writing.ofTopic.integer(0), writing.ofTopic.integer(1)))
        }
        for old in found {
            try writing.deleteMessage.bind(.integer(old.offset))
            try writing.deleteMessage.run()
            row.count -= 1
            row.bytes -= old.bytes
            state.messages -= 1
        }
    }

    private func makeChannel(_ name: ChannelName) throws -> ChannelRow {
        // Born with the floor of the forgotten, since it may be one of them.
        try writing.insertChannel.bind(
            .text(name.text),
            .integer(state.forgottenThrough),
            .integer(0)
        )
        guard try writing.insertChannel.step() else {
            throw LogProblem("log.sqlite did not give a new channel its number")
        }
        let id = writing.insertChannel.integer(0)
        writing.insertChannel.finish()
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

    /// How many channels have to be forgotten before so many of a kind can be made. Those of presence are made by whoever
    /// comes somewhere: they have places of their own, and take none of the others'.
    private func excess(of count: Int, own: Bool, toTheLast: Bool) throws -> Int {
        guard count > 0, own || state.channels + Int64(count) > channelLimit else { return 0 }
        try writing.countOwnChannels.bind()
        guard try writing.countOwnChannels.step() else { return 0 }
        let owned = writing.countOwnChannels.integer(0)
        writing.countOwnChannels.finish()
        let ownLimit = max(64, channelLimit / 4)
        let (there, limit) =
            own
            ? (owned, toTheLast ? ownLimit : ownLimit - ownLimit / 4)
            : (state.channels - owned, channelLimit)
        return Int(there + Int64(count) - limit)
    }

    /// Forgets the channels of a kind that are idle longest and have no messages, a 64th of the limit at once; none where
    /// they are too few.
    private func forgetIdleChannels(
        atLeast least: Int,
        but inUse: Set<Int64>,
        own: Bool
    ) throws -> Bool {
        let portion = max(least, Int(channelLimit / 64))
        var idle: [(id: Int64, through: Int64)] = []
        // Loaded rows are not up to date in the file: ask for as many more as there are of these.
        try writing.idleChannels.bind(.integer(own ? 1 : 0), .integer(portion + inUse.count))
        while try writing.idleChannels.step() {
            idle.append((writing.idleChannels.integer(0), writing.idleChannels.integer(1)))
        }
        let forgotten = idle.filter { !inUse.contains($0.id) }.prefix(portion)
        guard forgotten.count >= least else { return false }
        for channel in forgotten {
            try writing.deleteChannel.bind(.integer(channel.id))
            try writing.deleteChannel.run()
            state.channels -= 1
            state.forgottenThrough = max(state.forgottenThrough, channel.through)
        }
        return true
    }
}

/// Tells requests that differ from those that don't: FNV-1a with 128 bits over all that subscribers would see.
///
/// A publisher could construct two requests that collide, and would deceive only itself.
enum AppendDigest {
    static func of(_ append: Append) -> [UInt8] {
        var hash = FNV1a<UInt128>()
        func add(text: String?) {
            hash.combine(text?.utf8.count ?? -1)
            if let text { hash.combine(text.utf8Span.span) }
        }
        for name in append.dropping { add(text: name.text) }
        for draft in append.drafts {
            add(text: draft.channel.text)
            hash.combine(Int(draft.kind.rawValue))
            add(text: draft.contentType)
            add(text: draft.type)
            add(text: draft.topic)
            hash.combine(draft.timeToLiveSeconds ?? -1)
            hash.combine(draft.body.count)
            let body = draft.body
            hash.combine(body.span)
        }
        return stride(from: 0, to: 128, by: 8).map { UInt8(truncatingIfNeeded: hash.value >> $0) }
    }
}
