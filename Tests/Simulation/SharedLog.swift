import Channels

/// The one log of all processes: its file, copies of it, and what was reported to all.
struct SharedLog {
    let names: [ChannelName]
    /// How many messages each channel keeps.
    let keeps: [Int]
    private let places: [String: Int]
    private(set) var file: LogFile
    private(set) var ledger: Ledger
    /// An older copy of the file.
    private var copy: LogFile?
    private var lastNumber = 1
    /// A message with the text of another one.
    private(set) var twice: Cursor?
    var wall: Int64 = 1_700_000_000_000
    var retention: Int64 = 1_700_000_000_000

    init(names: [ChannelName], keeps: [Int], chance: inout Chance) {
        self.names = names
        self.keeps = keeps
        // Looked up by name, never iterated.
        places = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1.text, $0) })
        ledger = Ledger(channelCount: names.count)
        let stretch = EpochHistory.Stretch(
            epoch: .random(using: &chance),
            start: Offset(1),
            told: nil
        )
        file = LogFile(channelCount: names.count, first: stretch, number: 1)
        ledger.begin(file.stretches)
    }

    func place(of name: ChannelName) -> Int? { places[name.text] }
    func place(ofName name: String) -> Int? { places[name] }

    // MARK: The fate of the file

    mutating func keepCopy() { copy = file }

    /// The file is replaced by an empty one.
    mutating func replace(_ chance: inout Chance) {
        lastNumber += 1
        let stretch = EpochHistory.Stretch(
            epoch: .random(using: &chance),
            start: Offset(1),
            told: nil
        )
        file = LogFile(channelCount: names.count, first: stretch, number: lastNumber)
        ledger.begin(file.stretches)
    }

    /// The file ends before what was reported, or an older copy replaces it.
    mutating func fallBack(_ chance: inout Chance) {
        guard let copy else { return }
        let (told, epoch) = (file.head, file.epoch)
        file = copy
        self.copy = nil
        // The proof of how far it was reported may be lost as well.
        let isProved = copy.epoch == epoch && chance.happens(700)
        beginEpoch(told: isProved ? told : nil, &chance)
    }

    /// The machine was restarted; nothing is lost, whether that is known or not.
    mutating func restart(_ chance: inout Chance) {
        beginEpoch(told: chance.happens(500) ? file.head : nil, &chance)
    }

    private mutating func beginEpoch(told: Int64?, _ chance: inout Chance) {
        lastNumber += 1
        file.begin(.random(using: &chance), told: told, number: lastNumber)
        ledger.begin(file.stretches)
    }

    mutating func expire() {
        for offset in file.expire(now: retention) {
            ledger.remove(offset, in: file.stretches, .expired)
        }
    }

    // MARK: Writing

    /// One transaction with all of these.
    mutating func commit(_ appends: [Append], forgetting: (Int) -> Bool) -> LogFile.Written {
        var written = LogFile.Written()
        let moment = LogFile.Moment(wall: wall, retention: retention)
        var touched: [Int] = []
        for append in appends {
            if let outcome = file.use(of: append) {
                written.outcomes.append((append.ticket, outcome))
                continue
            }
            let drafts = append.drafts.compactMap { place(of: $0.channel) }
            let dropping = append.dropping.compactMap { place(of: $0) }
            precondition(
                drafts.count == append.drafts.count && dropping.count == append.dropping.count,
                "all channels are the world's"
            )
            if !append.drafts.isEmpty {
                file.forgetIdle { forgetting($0) && !drafts.contains($0) && !touched.contains($0) }
            }
            let dropsBefore = written.dropped.count
            let before = written.messages.count
            file.append(
                append,
                drafts: drafts,
                dropping: dropping,
                at: moment,
                keep: { keeps[$0] },
                names: names,
                into: &written
            )
            for mark in written.dropped[dropsBefore...] {
                guard let place = place(of: mark.channel) else { continue }
                ledger.add(
                    Ledger.Record(channel: place, text: nil, topic: nil, expires: nil, gone: nil),
                    in: file.epoch
                )
            }
            for message in written.messages[before...] {
                guard let place = place(of: message.channel) else { continue }
                if !message.channel.isOwn, isThere(Self.text(of: message)) { twice = message.id }
                ledger.add(
                    Ledger.Record(
                        channel: place,
                        text: Self.text(of: message),
                        topic: message.topic,
                        expires: message.expiresMilliseconds,
                        gone: nil
                    ),
                    in: file.epoch
                )
            }
            for place in drafts + dropping where !touched.contains(place) { touched.append(place) }
        }
        file.trim(touched, keep: { keeps[$0] }, names: names, into: &written)
        for (offset, gone) in written.gone { ledger.remove(offset, in: file.stretches, gone) }
        return written
    }

    /// Whether a text was published before, in the log as it is now.
    private func isThere(_ text: String) -> Bool {
        guard let id = ledger.id(ofText: text) else { return false }
        return file.epoch(of: id.offset.value) == id.epoch
    }

    /// As a reader of JSON answers sees it.
    private static func text(of message: Message) -> String {
        if message.kind == .json, let text = StrictJSON(message.body)?.text { return text }
        return String(decoding: message.body, as: UTF8.self)
    }
}
