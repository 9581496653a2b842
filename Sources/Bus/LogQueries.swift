import CSQLite
import Channels

/// The queries that the writer and the reader share, each on its own connection and inside a transaction.
final class LogQueries {
    private let selectState: PreparedStatement
    private let selectEpochs: PreparedStatement
    private let selectMarks: PreparedStatement
    private let selectFollowing: PreparedStatement
    private let selectSize: PreparedStatement
    private let selectNewest: PreparedStatement
    private let selectMarksAbove: PreparedStatement
    private let selectChannel: PreparedStatement

    private static let batchBytes = 1 << 22

    /// The columns of every query that yields messages; see `message(_:epochs:)`.
    static let columns = """
        m.offset, c.name, m.time, m.kind, m.content_type, m.type, m.expires, m.topic, m.body, m.kept
        """

    init(_ database: Database) throws(LogError) {
        let messages =
            "SELECT \(Self.columns) FROM messages m CROSS JOIN channels c ON c.id = m.channel"
        selectState = try PreparedStatement(
            database,
            """
            SELECT head, trim_stamp, forgotten_through, epoch, channels, messages, keys,
                clock, clock_boot, clock_wall, boot
            FROM state WHERE id = 1
            """
        )
        selectEpochs = try PreparedStatement(
            database,
            "SELECT name, start, told FROM epochs ORDER BY number"
        )
        selectMarks = try PreparedStatement(
            database,
            """
            SELECT name, trimmed_through, trim_reason FROM channels
            WHERE trim_stamp > ? AND trimmed_through > 0 ORDER BY trim_stamp
            """
        )
        selectFollowing = try PreparedStatement(
            database,
            // A message below its channel's mark counts as removed, even if it is still in the file; the mark reports it.
            """
            \(messages) WHERE m.offset > ? AND m.offset <= ? AND m.offset > c.trimmed_through
            ORDER BY m.offset
            """
        )
        // The length of a body is known without reading it.
        selectSize = try PreparedStatement(
            database,
            "SELECT total(length(body)) FROM messages WHERE offset > ? AND offset <= ?"
        )
        selectNewest = try PreparedStatement(database, "\(messages) ORDER BY m.offset DESC LIMIT ?")
        selectMarksAbove = try PreparedStatement(
            database,
            "SELECT name, trimmed_through, trim_reason FROM channels WHERE trimmed_through > ?"
        )
        selectChannel = try PreparedStatement(
            database,
            """
            SELECT id, last_offset, count, bytes, due, trimmed_through, trim_reason
            FROM channels WHERE name = ?
            """
        )
    }

    func state() throws(LogError) -> StateRow {
        try selectState.bind()
        guard try selectState.step() else {
            throw LogError.damage("it has lost its state row")
        }
        defer { selectState.finish() }
        // Everything else is derived from these. The clocks may hold any time.
        guard (0..<4).allSatisfy({ isPlausible(selectState.integer($0)) }) else {
            throw LogError.database(
                DatabaseError(SQLITE_CORRUPT, message: "its state holds an impossible number")
            )
        }
        func time(_ column: Int32) -> Int64 { min(max(selectState.integer(column), 0), 1 << 50) }
        return StateRow(
            head: selectState.integer(0),
            trimStamp: selectState.integer(1),
            forgottenThrough: selectState.integer(2),
            epoch: selectState.integer(3),
            channels: selectState.integer(4),
            messages: selectState.integer(5),
            keys: selectState.integer(6),
            clock: time(7),
            clockBoot: time(8),
            clockWall: time(9),
            boot: selectState.text(10)
        )
    }

    /// Nil in a log that was just made.
    func epochs() throws(LogError) -> EpochHistory? {
        var stretches: [EpochHistory.Stretch] = []
        try selectEpochs.bind()
        while try selectEpochs.step() {
            guard let epoch = Epoch(selectEpochs.text(0)) else {
                selectEpochs.finish()
                throw LogError.damage("it has an epoch with an invalid name")
            }
            stretches.append(
                EpochHistory.Stretch(
                    epoch: epoch,
                    start: Offset(selectEpochs.integer(1)),
                    told: selectEpochs.optionalInteger(2).map { Offset($0) }
                )
            )
        }
        return stretches.isEmpty ? nil : EpochHistory(stretches)
    }

    func channel(_ name: ChannelName) throws(LogError) -> ChannelRow? {
        try selectChannel.bind(name.text)
        guard try selectChannel.step() else { return nil }
        defer { selectChannel.finish() }
        return ChannelRow(
            id: selectChannel.integer(0),
            name: name,
            lastOffset: selectChannel.integer(1),
            count: selectChannel.integer(2),
            bytes: selectChannel.integer(3),
            due: selectChannel.optionalInteger(4),
            trimmedThrough: selectChannel.integer(5),
            trimReason: GapReason(stored: selectChannel.integer(6))
        )
    }

    /// Whether the commits since that position can be told in batches: they are about as much as memory keeps, and no
    /// channel was forgotten whose mark may lie among them, since its gap could no longer be attributed.
    func canFollow(
        _ position: LogShared.Position,
        upTo state: StateRow,
        _ settings: BusSettings
    ) throws(LogError) -> Bool {
        if min(state.forgottenThrough, state.head) > position.head { return false }
        let count = state.head - position.head
        guard count > 8 else { return true }
        guard count <= max(1024, settings.memoryMessages) else { return false }
        try selectSize.bind(position.head, state.head)
        defer { selectSize.finish() }
        return try selectSize.step()
            && selectSize.integer(0) <= max(Self.batchBytes, settings.memoryBytes)
    }

    /// Delivers the commits after that position up to `state`, in contiguous batches of bounded size.
    ///
    /// A mark goes into the batch whose range contains it: messages that it removed from that range were never seen
    /// here. Every batch has the floor of forgotten channels, whether or not it has risen: a channel whose mark lies
    /// below it may have been forgotten since. A channel is forgotten only by an append to another, so a batch follows.
    func follow(
        after position: LogShared.Position,
        upTo state: StateRow,
        epochs: EpochHistory,
        deliver: (CommittedBatch) -> Void
    ) throws(LogError) {
        let head = position.head
        var marks: [TrimMark] = []
        if state.trimStamp > position.stamp {
            try selectMarks.bind(position.stamp)
            marks = try Self.marks(selectMarks)
        }
        var previous = head
        var messages: [Message] = []
        var bytes = 0
        func flush(to newHead: Int64) {
            let here = marks.filter { $0.through.value <= newHead }
            if previous == newHead && here.isEmpty { return }
            marks.removeAll { $0.through.value <= newHead }
            deliver(
                CommittedBatch(
                    previous: Offset(previous),
                    head: Offset(newHead),
                    messages: messages,
                    trims: here,
                    forgottenThrough: Offset(min(state.forgottenThrough, head))
                )
            )
            (previous, messages, bytes) = (newHead, [], 0)
        }
        if state.head > head {
            try selectFollowing.bind(head, state.head)
            defer { selectFollowing.finish() }
            while try selectFollowing.step() {
                let message = try Self.message(selectFollowing, epochs)
                messages.append(message)
                bytes += message.body.count
                if messages.count >= 512 || bytes >= Self.batchBytes {
                    flush(to: message.offset.value)
                }
            }
        }
        flush(to: max(state.head, previous))
    }

    /// The newest part of the log, as much as memory keeps, without what has expired or is too old to be replayed.
    ///
    /// - Parameter now: on the retention clock.
    func newest(
        _ state: StateRow,
        _ epochs: EpochHistory,
        now: Int64,
        _ shared: LogShared
    ) throws(LogError) -> LogState {
        let retention = shared.retention
        var messages: [Message] = []
        var aged: [ChannelName: Int64] = [:]
        var ages: [ChannelName: Int64] = [:]
        var bytes = 0
        var floor = state.head
        try selectNewest.bind(shared.settings.memoryMessages)
        defer { selectNewest.finish() }
        while try selectNewest.step() {
            let message = try Self.message(selectNewest, epochs)
            bytes += message.body.count
            if bytes > shared.settings.memoryBytes { break }
            floor = message.offset.value - 1
            let age: Int64
            if let known = ages[message.channel] {
                age = known
            } else {
                age = retention(message.channel).ageMilliseconds
                ages[message.channel] = age
            }
            if selectNewest.integer(9) <= now - age {
                aged[message.channel] = max(aged[message.channel] ?? 0, message.offset.value)
            } else if message.expiresMilliseconds ?? .max > now {
                messages.append(message)
            }
        }
        try selectMarksAbove.bind(floor)
        var marks = try Self.marks(selectMarksAbove)
        for (channel, through) in aged {
            marks.append(TrimMark(channel: channel, through: Offset(through), reason: .trimmed))
        }
        // Below a mark nothing is replayed, even where two processes' clocks let a younger message be there.
        messages.removeAll { aged[$0.channel] ?? 0 >= $0.offset.value }
        return LogState(
            epochs: epochs,
            head: Offset(state.head),
            floor: Offset(floor),
            messages: messages.reversed(),
            trims: marks,
            forgottenThrough: Offset(state.forgottenThrough)
        )
    }

    static func message(_ query: PreparedStatement, _ epochs: EpochHistory) throws(LogError)
        -> Message
    {
        guard let channel = try? ChannelName(query.text(1)),
            let kind = BodyKind(rawValue: UInt8(truncatingIfNeeded: query.integer(3)))
        else { throw LogError.damage("it holds a message that cannot be read") }
        let offset = Offset(query.integer(0))
        return Message(
            offset: offset,
            epoch: epochs.epoch(of: offset),
            channel: channel,
            timeMilliseconds: query.integer(2),
            kind: kind,
            contentType: query.text(4),
            body: query.blob(8),
            type: query.optionalText(5),
            expiresMilliseconds: query.optionalInteger(6),
            topic: query.optionalText(7)
        )
    }

    private static func marks(_ query: PreparedStatement) throws(LogError) -> [TrimMark] {
        var marks: [TrimMark] = []
        while try query.step() {
            guard let channel = try? ChannelName(query.text(0)) else { continue }
            marks.append(
                TrimMark(
                    channel: channel,
                    through: Offset(query.integer(1)),
                    reason: GapReason(stored: query.integer(2))
                )
            )
        }
        return marks
    }
}

extension EpochHistory {
    /// The epoch in which the offset was given out.
    func epoch(of offset: Offset) -> Epoch {
        (stretches.last { $0.start <= offset } ?? stretches[0]).epoch
    }
}

extension Retention {
    var ageMilliseconds: Int64 { Int64(ageSeconds) * 1000 }
}
