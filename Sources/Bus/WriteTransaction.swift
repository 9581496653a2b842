import Channels

/// A running transaction of the writer: what it has found, and what it has changed so far.
///
/// Every method works on `state`, the row of that name, and on `touched`, the channels that were loaded to be changed;
/// `writeBack` puts them into the file.
struct WriteTransaction {
    let database: WriterDatabase
    let time: LogTime
    /// It fails rather than trim much.
    let isBrief: Bool
    /// By how many milliseconds the wall clock was set since the newest commit.
    let clockSlip: Int64
    /// As it was found.
    private let before: StateRow

    var state: StateRow
    var touched: [ChannelName: ChannelRow] = [:]
    /// Whether it raised a mark, and so has its own trim stamp.
    var hasTrimStamp = false
    /// Marks raised by retention, and those by publishers that dropped a channel's messages.
    var raised: [TrimMark] = []
    var dropped: [TrimMark] = []
    /// Whether a channel had more to remove than a portion.
    var leftOver = false
    var trimmedMessages = 0
    var expiredMessages = 0

    init(_ database: WriterDatabase, _ state: StateRow, _ time: LogTime, isBrief: Bool) {
        self.database = database
        self.time = time
        self.isBrief = isBrief
        self.state = state
        before = state
        clockSlip = state.slip(at: time)
        // Otherwise the jump would count as elapsed time at the next boot.
        if clockSlip != 0 { self.state.note(time) }
    }

    var statements: WriterStatements { database.statements }

    /// The channel as it is now.
    func channel(_ name: ChannelName) throws(LogError) -> ChannelRow? {
        if let row = touched[name] { return row }
        return try database.channel(name)
    }

    /// The log is used during the boot of this name.
    mutating func note(boot: String) { state.boot = boot }

    /// Begins a new epoch after the newest message; the epochs of about a thousand boots are remembered.
    ///
    /// - Parameters:
    ///   - told: the least offset up to which publishers and subscribers were told, in the newest epoch they knew.
    ///   - isProved: they were told no further. Otherwise every reader that continues from before is told of a gap.
    mutating func beginEpoch(told: Channels.Cursor?, isProved: Bool) throws(LogError) {
        let stretches = try database.queries.epochs()?.stretches ?? []
        var known: Int64?
        if let told, let at = stretches.lastIndex(where: { $0.epoch == told.epoch }) {
            if at == stretches.count - 1 {
                known = isProved ? told.offset.value : nil
            } else {
                // The file has been written to elsewhere since, perhaps from before the end that was told here. How far
                // it was told there is unknown.
                let next = stretches[at + 1].epoch
                try statements.raiseTold.bind(told.offset.value, next.name)
                try statements.raiseTold.run()
            }
        }
        var generator = SystemRandomNumberGenerator()
        state.epoch += 1
        try statements.insertEpoch.bind(
            state.epoch,
            Epoch.random(using: &generator).name,
            state.head + 1,
            known
        )
        try statements.insertEpoch.run()
        try statements.pruneEpochs.bind(state.epoch - 1000)
        try statements.pruneEpochs.run()
    }

    /// Puts into the file what was changed.
    mutating func writeBack() throws(LogError) {
        for row in touched.values {
            if row.markChanged {
                try statements.updateChannelMark.bind(
                    row.lastOffset,
                    row.count,
                    row.bytes,
                    row.due,
                    row.trimmedThrough,
                    row.trimReason.stored,
                    state.trimStamp,
                    row.id
                )
                try statements.updateChannelMark.run()
            } else {
                try statements.updateChannel.bind(
                    row.lastOffset,
                    row.count,
                    row.bytes,
                    row.id
                )
                try statements.updateChannel.run()
            }
        }
        if state == before { return }
        state.note(time)
        try statements.updateState.bind(
            state.head,
            state.trimStamp,
            state.forgottenThrough,
            state.epoch,
            state.channels,
            state.messages,
            state.keys,
            state.clock,
            state.clockBoot,
            state.clockWall,
            state.boot
        )
        try statements.updateState.run()
    }
}
