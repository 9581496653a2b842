import Bus
import Channels
import Glibc
import Testing

/// What readers get, beside what the model says.
extension SiteRun {
    private func texts(_ page: HistoryPage) -> [String] {
        page.messages.map { "\($0.offset) \($0.channel) \($0.text)" }
    }

    private func someChannels() -> [String] {
        Array(Self.channels.shuffled(using: &random).prefix(.random(in: 1...4, using: &random)))
    }

    private func append(_ reader: SiteModel.Reader) {
        if readers.count < 60 {
            readers.append(reader)
        } else {
            readers[readers.indices.randomElement(using: &random)!] = reader
        }
    }

    private func reader(_ channels: [String], _ cursor: Cursor) -> SiteModel.Reader {
        SiteModel.Reader(
            channels: channels,
            cursor: cursor,
            losses: losses.count,
            lostEpochs: lostEpochs,
            log: model.entries
        )
    }

    /// Sometimes the engine is asked first, which fails where the connection to it has ended.
    private func page(
        _ probe: LogProbe,
        _ channels: [String],
        _ start: HistoryStart,
        limit: Int
    ) throws -> HistoryPage {
        let looksAhead = Int.random(in: 0..<8, using: &random) == 0
        for _ in 0..<1000 {
            let result = probe.reading(
                channels,
                start,
                limit: limit,
                bytes: 1 << 30,
                looksAhead: looksAhead
            )
            if case .success(let page)? = result { return page }
            guard looksAhead else { break }
            poll(nil, 0, 50)
        }
        throw fault("history is never read")
    }

    /// The id of something published is a cursor, too. Publishers that know of a loss may have begun an epoch since.
    func note(_ id: Cursor, lostEpochs: Int64) {
        var reader = reader(someChannels(), id)
        reader.lostEpochs = lostEpochs
        append(reader)
    }

    /// Some readers come to any machine, from anywhere and at any time; a new one begins.
    func read() throws {
        guard let index = running.randomElement(using: &random) else { return }
        let probe = machines[index].probes.randomElement(using: &random)!
        let channels = someChannels()
        let limit = Int.random(in: 1...40, using: &random)
        let page = probe.read(channels, .first, limit: limit)
        let wanted = machines[index].log.messages(channels, after: 0)
        try expect(
            texts(page) == Array(wanted.prefix(limit)),
            "machine \(index) begins \(channels) with \(texts(page)), not \(wanted.prefix(limit))"
        )
        guard let epoch = probe.now.epochs?.current else { return }
        append(
            reader(
                channels,
                Cursor(
                    epoch: epoch,
                    offset: Bool.random(using: &random) ? page.scanned : Offset(model.head)
                )
            )
        )
        for _ in 0..<3 {
            guard let at = readers.indices.randomElement(using: &random),
                let index = running.randomElement(using: &random)
            else { return }
            try check(&readers[at], at: index)
        }
    }

    /// Goes on with the reader's cursor at a machine: it gets what comes next, or is told of a gap.
    func check(_ reader: inout SiteModel.Reader, at index: Int) throws {
        let machine = machines[index]
        let probe = machine.probes.randomElement(using: &random)!
        let now = probe.now
        guard let epochs = now.epochs else { throw fault("machine \(index) has no epochs") }
        let offset = reader.cursor.offset.value
        let crossed = losses[reader.losses...]
        let has = reader.log.prefix(Int(offset))
        let isSame = model.head >= offset && model.entries.prefix(Int(offset)) == has
        let mustTell = crossed.contains {
            ($0.isReal && $0.isTold) || ($0.isBoundary && offset > $0.head)
        }
        let verdict = epochs.verdict(on: reader.cursor, head: now.head)
        let whose = "machine \(index): \(reader.cursor) is \(verdict)"
        let from: Offset
        switch verdict {
        case .future:
            try expect(!mustTell && !isSame, whose)
            // Nothing is left that shows the loss.
            return
        case .restarted(let resume):
            seen["restarted", default: 0] += 1
            try expect(
                !crossed.isEmpty || lostEpochs > reader.lostEpochs,
                "\(whose), but nothing was lost"
            )
            from = resume
        case .valid(let start):
            seen[crossed.isEmpty ? "valid" : "valid across a loss", default: 0] += 1
            try expect(!mustTell, "\(whose), but something was lost after \(crossed.map(\.head))")
            from = start
        }
        let limit = Int.random(in: 0..<3, using: &random) == 0 ? 5 : 100_000
        let page = try page(probe, reader.channels, .after(from), limit: limit)
        let end = page.scanned.value
        let wanted = machine.log.messages(reader.channels, after: from.value, upTo: end)
        try expect(
            texts(page) == wanted,
            "\(whose), and gets after \(from) of \(reader.channels) \(texts(page)), not \(wanted)"
        )
        try expect(page.more || end == max(model.head, from.value), "\(whose), ends at \(end)")
        if page.gap == nil {
            try expect(
                !machine.log.lacks(reader.channels, after: from.value, upTo: end),
                "\(whose), and is told of no gap although not all is kept"
            )
        } else {
            seen["gap", default: 0] += 1
            try expect(
                machine.log.mayTellGap(reader.channels, after: from.value),
                "\(whose), and is told of a gap for no reason"
            )
        }
        reader = self.reader(reader.channels, Cursor(epoch: epochs.current, offset: page.scanned))
    }

    /// All that a machine keeps is what the model says.
    func compare(_ index: Int) throws {
        let log = machines[index].log
        for probe in machines[index].probes {
            let page = probe.read(Self.channels, .first, limit: 100_000, bytes: 1 << 30)
            let (has, wanted) = (texts(page), log.messages(Self.channels, after: 0))
            let (missing, surplus) = (
                wanted.filter { !has.contains($0) }, has.filter { !wanted.contains($0) }
            )
            try expect(
                has == wanted,
                "machine \(index) lacks \(missing.prefix(5)), and has \(surplus.prefix(5))"
            )
        }
        let directory = machines[index].settings.directory
        let floor = try integer("SELECT forgotten_through FROM state", directory)
        try expect(
            floor == log.floor,
            "machine \(index) has floor \(floor ?? -1), not \(log.floor)"
        )
    }
}
