internal import DequeModule

/// The newest part of the log in memory, so that common polls never touch the disk.
///
/// Holds everything in (floor, head]: messages, and the trim marks that rose there. The log answers for what lies at or
/// below the floor. Replay applies retention as the log does: a trimmed message is gone here, too; a request that was
/// waiting when it was committed received it from the batch itself.
package struct Tail {
    package private(set) var epochs: EpochHistory
    package private(set) var head: Offset
    package private(set) var floor: Offset

    private let messageLimit: Int
    private let byteLimit: Int
    private var bodyBytes = 0
    /// All messages of this range in commit order.
    private var recent: Deque<Message> = []
    private var channels: [ChannelName: ChannelTail] = [:]
    /// The highest of the channels' trim marks that there have been.
    private var highestMark = Offset.start

    /// The messages and the trim mark of one channel above the floor.
    private struct ChannelTail {
        /// Ascending; a subsequence of `recent` without trimmed and replaced messages.
        private(set) var messages: Deque<Message> = []
        /// The offset of each topic's message among these, so that it need not be searched.
        private var topics: [ExactText: Offset] = [:]
        var trimmedThrough = Offset.start
        var trimReason = GapReason.trimmed

        mutating func append(_ message: Message) {
            if let topic = message.topic,
                let replaced = topics.updateValue(message.offset, forKey: ExactText(topic))
            {
                messages.remove(at: messages.firstIndex(after: replaced.previous))
            }
            messages.append(message)
        }

        mutating func removeFirst(_ count: Int) {
            for case let topic? in messages.prefix(count).lazy.map(\.topic) {
                topics[ExactText(topic)] = nil
            }
            messages.removeFirst(count)
        }
    }

    /// A tail with the log's present state: `messages` are the log's in (floor, head].
    package init(
        epochs: EpochHistory,
        head: Offset,
        floor: Offset,
        messages: [Message],
        trims: [TrimMark],
        messageLimit: Int,
        byteLimit: Int
    ) {
        self.epochs = epochs
        self.head = floor
        self.floor = floor
        self.messageLimit = messageLimit
        self.byteLimit = byteLimit
        receive(CommittedBatch(previous: floor, head: head, messages: messages, trims: trims))
    }

    /// Adds what was committed, and returns the part that is new here, or nil if nothing is.
    ///
    /// Batches come from two producers; they may overlap but leave no hole.
    @discardableResult
    package mutating func receive(_ batch: CommittedBatch) -> CommittedBatch? {
        precondition(batch.previous <= head, "a batch must adjoin or overlap what came before")
        let known = head
        raiseFloor(to: min(batch.forgottenThrough, known))
        let messages =
            batch.previous == known
            ? batch.messages : batch.messages.filter { $0.offset > known }
        let trims = batch.trims.filter {
            (channels[$0.channel]?.trimmedThrough ?? floor) < $0.through
        }
        guard batch.head > known || !trims.isEmpty else { return nil }
        head = max(known, batch.head)
        for message in messages { append(message) }
        for trim in trims { apply(trim) }
        evict()
        return CommittedBatch(previous: known, head: head, messages: messages, trims: trims)
    }

    /// Whether no channel has anything after `offset`, neither messages nor a trim mark.
    package func hasNothing(after offset: Offset) -> Bool {
        offset == head && highestMark <= offset
    }

    /// What these channels have after `offset`, or nil if that is below the floor.
    ///
    /// At most `messageLimit` messages, and at most `byteLimit` bytes of bodies but always one message.
    /// `now` is the retention clock in milliseconds: messages that have expired are left out.
    package func read(
        _ names: [ChannelName],
        after offset: Offset,
        messageLimit: Int,
        byteLimit: Int,
        now: Int64
    ) -> HistoryPage? {
        guard offset >= floor, offset <= head else { return nil }
        var found: [Message] = []
        var marks: [TrimMark] = []
        var newest = offset
        for name in names {
            guard let channel = channels[name] else { continue }
            if channel.trimmedThrough > offset {
                marks.append(
                    TrimMark(
                        channel: name,
                        through: channel.trimmedThrough,
                        reason: channel.trimReason
                    )
                )
            }
            newest = max(newest, channel.trimmedThrough, channel.messages.last?.offset ?? newest)
            // Nothing new, as a rule.
            guard let last = channel.messages.last, last.offset > offset else { continue }
            var left = messageLimit + 1
            for index in channel.messages.firstIndex(after: offset)..<channel.messages.count {
                let message = channel.messages[index]
                if let expiry = message.expiresMilliseconds, expiry <= now { continue }
                found.append(message)
                left -= 1
                if left == 0 { break }
            }
        }
        if names.count > 1 { found.sort { $0.offset < $1.offset } }
        let taken = found.prefixWithin(messages: messageLimit, bytes: byteLimit)
        let more = taken < found.count
        return HistoryPage(
            messages: more ? Array(found[..<taken]) : found,
            scanned: more ? found[taken - 1].offset : head,
            more: more,
            gap: marks.max { $0.through < $1.through }?.reason,
            marks: marks,
            newest: newest
        )
    }

    /// What was committed after `offset`, for readers at that position; nil if memory does not reach back that far.
    /// What is gone since then, for whatever reason, may never have been here: it is among the marks.
    package func missed(after offset: Offset) -> CommittedBatch? {
        guard offset >= floor, offset <= head else { return nil }
        let gone = channels.filter { $0.value.trimmedThrough > offset }
            .sorted { $0.key.text < $1.key.text }
        return CommittedBatch(
            previous: offset,
            head: head,
            messages: recent.filter { $0.offset > offset },
            trims: gone.map { channel, tail in
                TrimMark(
                    channel: channel,
                    through: tail.trimmedThrough,
                    reason: tail.trimReason
                )
            }
        )
    }

    /// The newest message or trim mark of these channels, or nil if only the log knows it.
    package func newest(of names: [ChannelName]) -> Offset? {
        var newest = Offset.start
        for name in names {
            guard let channel = channels[name] else { return nil }
            newest = max(newest, channel.trimmedThrough, channel.messages.last?.offset ?? .start)
        }
        return newest
    }

    private mutating func append(_ message: Message) {
        recent.append(message)
        bodyBytes += message.body.count
        channels[message.channel, default: ChannelTail()].append(message)
    }

    private mutating func apply(_ trim: TrimMark) {
        highestMark = max(highestMark, trim.through)
        channels[trim.channel, default: ChannelTail()].trimmedThrough = trim.through
        channels[trim.channel]?.trimReason = trim.reason
        let kept = channels[trim.channel]?.messages.firstIndex(after: trim.through) ?? 0
        channels[trim.channel]?.removeFirst(kept)
    }

    /// From now on the log answers for everything at or below this offset.
    private mutating func raiseFloor(to offset: Offset) {
        guard offset > floor else { return }
        evict(through: offset)
        floor = offset
        channels = channels.filter {
            !$0.value.messages.isEmpty || $0.value.trimmedThrough > floor
        }
    }

    private mutating func evict(through least: Offset = .start) {
        while let oldest = recent.first,
            recent.count > messageLimit || bodyBytes > byteLimit || oldest.offset <= least
        {
            recent.removeFirst()
            bodyBytes -= oldest.body.count
            floor = oldest.offset
            let name = oldest.channel
            if let first = channels[name]?.messages.first, first.offset <= floor {
                channels[name]?.removeFirst(1)
            }
            if let channel = channels[name], channel.messages.isEmpty,
                channel.trimmedThrough <= floor
            {
                channels[name] = nil
            }
        }
        // Eviction never visits channels of which only a mark is left.
        if channels.count > 64 + 2 * recent.count {
            channels = channels.filter {
                !$0.value.messages.isEmpty || $0.value.trimmedThrough > floor
            }
        }
    }
}

extension RandomAccessCollection<Message> where Index == Int {
    /// The index of the first message after the offset; `self` is ascending.
    package func firstIndex(after offset: Offset) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = (low + high) / 2
            if self[middle].offset > offset { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

extension [Message] {
    /// The number of messages from the front that fit into one answer; at least one if there is one.
    package func prefixWithin(messages: Int, bytes: Int) -> Int {
        var total = 0
        for (index, message) in enumerated() {
            total += message.body.count
            if index > 0, index >= messages || total > bytes { return index }
        }
        return count
    }
}
