import Bus
import Channels
import Engine
import Harness
import System
import Testing

/// What is published, by machines, by groups, and by SQL.
extension SiteRun {
    private func entry(_ number: Int) -> SiteModel.Entry {
        SiteModel.Entry(
            channel: Self.channels.randomElement(using: &random)!,
            text: "\(round)/\(number)",
            topic: Int.random(in: 0..<5, using: &random) == 0
                ? ["s", "t"].randomElement(using: &random) : nil
        )
    }

    private func asDraft(_ entry: SiteModel.Entry) -> Draft {
        draft(
            entry.channel,
            entry.text,
            ttl: entry.text.hasSuffix("/0") ? 86_400 : nil,
            topic: entry.topic
        )
    }

    private func asEntry(_ draft: Draft) -> SiteModel.Entry {
        SiteModel.Entry(
            channel: draft.channel.text,
            text: String(decoding: draft.body, as: UTF8.self),
            topic: draft.topic
        )
    }

    private func anyProbe() -> LogProbe? {
        running.randomElement(using: &random).flatMap {
            machines[$0].probes.randomElement(using: &random)
        }
    }

    /// The outcome, asked for again under the same key while it is unknown, as publishers do.
    private func outcome(
        _ probe: LogProbe,
        _ ticket: UInt64,
        _ drafts: [Draft],
        dropping: [String] = [],
        _ key: IdempotencyKey
    ) throws -> AppendOutcome {
        var ticket = ticket
        for _ in 0..<60 {
            let outcome = probe.outcome(of: ticket)
            guard outcome == .unavailable else { return outcome }
            ticket = probe.send(drafts, dropping: dropping, key: key)
        }
        throw fault("\(key.key) is never published: \(probe.now.notices.suffix(3))")
    }

    private func ids(_ outcome: AppendOutcome, _ key: IdempotencyKey) throws -> [Cursor] {
        switch outcome {
        case .committed(let ids), .repeated(let ids): return ids
        default: throw fault("\(key.key) is answered \(outcome)")
        }
    }

    /// Several at once; which comes first is told by the answers.
    func publish() throws {
        guard !running.isEmpty else { return try appendGroup() }
        var sent: [(LogProbe, UInt64, [Draft], IdempotencyKey)] = []
        var number = 0
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            guard let probe = anyProbe() else { break }
            let drafts = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                defer { number += 1 }
                return asDraft(entry(number))
            }
            let key = IdempotencyKey(publisher: "p", key: "\(round)/\(sent.count)")
            sent.append((probe, probe.send(drafts, key: key), drafts, key))
        }
        tell("publish \(number) in \(sent.count) parts")
        var placed: [Int64: SiteModel.Entry] = [:]
        var told: [Cursor] = []
        for (probe, ticket, drafts, key) in sent {
            let ids = try ids(try outcome(probe, ticket, drafts, key), key)
            try expect(ids.count == drafts.count, "\(key.key) has \(ids)")
            for (id, draft) in zip(ids, drafts) { placed[id.offset.value] = asEntry(draft) }
            model.keys[key.key] = ids[0].offset.value
            published.append((key, drafts))
            told.append(contentsOf: ids)
        }
        let offsets = placed.keys.sorted()
        try expect(
            offsets == Array(model.head + 1..<model.head + 1 + Int64(number)),
            "after \(model.head), \(number) messages have the places \(offsets)"
        )
        for offset in offsets { model.entries.append(placed[offset]!) }
        let lostEpochs = lostEpochs
        try level()
        if let id = told.randomElement(using: &random) { note(id, lostEpochs: lostEpochs) }
    }

    /// A request that was made before, or another one under its key.
    func repeatKey() throws {
        guard let probe = anyProbe(), let old = published.randomElement(using: &random) else {
            return try publish()
        }
        var drafts = old.drafts
        let isSame = Bool.random(using: &random)
        if !isSame { drafts[0].body += Array("!\(round)".utf8) }
        tell("repeat \(old.key.key), the same: \(isSame)")
        let outcome = try outcome(probe, probe.send(drafts, key: old.key), drafts, old.key)
        if let first = model.keys[old.key.key] {
            guard isSame else {
                return try expect(outcome == .conflict, "a key in use is answered \(outcome)")
            }
            guard case .repeated(let ids) = outcome,
                ids.map(\.offset.value) == Array(first..<first + Int64(drafts.count))
            else { throw fault("a repetition of \(first) is answered \(outcome)") }
        } else {
            // The engine has lost it, and its key.
            let first = try ids(outcome, old.key).first?.offset.value
            try expect(first == model.head + 1, "what was lost is published at \(outcome)")
            model.keys[old.key.key] = model.head + 1
            model.entries += drafts.map(asEntry)
            if !isSame { published.removeAll { $0.key == old.key } }
            if !isSame { published.append((old.key, drafts)) }
        }
    }

    func drop() throws {
        guard let probe = anyProbe() else { return try appendGroup() }
        let names = Array(
            Self.channels.shuffled(using: &random).prefix(.random(in: 1...2, using: &random))
        )
        let drafts = (0..<Int.random(in: 0...2, using: &random)).map { asDraft(entry($0)) }
        let key = IdempotencyKey(publisher: "p", key: "\(round)/drop")
        tell("drop \(names), publish \(drafts.count)")
        let ticket = probe.send(drafts, dropping: names, key: key)
        let ids = try ids(try outcome(probe, ticket, drafts, dropping: names, key), key)
        model.entries += names.map { dropped($0) }
        try expect(
            ids.map(\.offset.value)
                == Array(model.head + 1..<model.head + 1 + Int64(drafts.count)),
            "behind what is dropped up to \(model.head): \(ids)"
        )
        model.entries += drafts.map(asEntry)
    }

    private func dropped(_ channel: String) -> SiteModel.Entry {
        SiteModel.Entry(channel: channel, text: "drop \(round) \(channel)", isDrop: true)
    }

    // MARK: Groups

    /// Calls the engine on a connection of its own; after a failure again on another.
    private func call<T>(_ body: (EngineSession) throws(EngineError) -> T) throws -> T {
        for _ in 0..<60 {
            do throws(EngineError) {
                if publisher == nil {
                    publisher = try EngineSession(
                        site.server.options,
                        identity,
                        hostMilliseconds: 20_000,
                        deadline: soon
                    )
                }
                return try body(publisher!)
            } catch {
                guard case .postgres = error else { throw error }
                publisher = nil
            }
        }
        throw fault("the engine fails")
    }

    func greet() throws { _ = try call { session throws(EngineError) in session.isOpen } }

    /// A group that only its publisher knows of, with some of what SQL published.
    func appendGroup() throws {
        var parts: [EnginePart] = []
        var entries: [SiteModel.Entry] = []
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            var part = EnginePart()
            if Int.random(in: 0..<4, using: &random) == 0 {
                let channel = Self.channels.randomElement(using: &random)!
                GroupBody.append(dropping: name(channel), to: &part.body)
                entries.append(dropped(channel))
                (part.count, part.skipped) = (1, 1)
            }
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let entry = entry(entries.count)
                GroupBody.append(asDraft(entry), to: &part.body)
                entries.append(entry)
                part.count += 1
            }
            parts.append(part)
        }
        let gid = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
        try append(gid, parts, entries, fromOutbox: Int.random(in: 0...3, using: &random))
        if let receipt = receipts[gid] {
            groups.append((gid, parts, entries))
            if Bool.random(using: &random) { publisher = nil }
            try repeated(gid, parts, receipt)
        }
    }

    /// One that was sent before, as after a lost answer.
    func repeatGroup() throws {
        guard let old = groups.randomElement(using: &random) else { return try appendGroup() }
        guard let receipt = receipts[old.gid] else {
            // Lost, or forgotten with the groups that are no longer kept.
            guard old.parts.count > 0 else { return }
            return try append(old.gid, old.parts, old.entries, fromOutbox: 0)
        }
        tell("repeat a group")
        try repeated(old.gid, old.parts, receipt)
    }

    private func repeated(_ gid: [UInt8], _ parts: [EnginePart], _ receipt: EngineReceipt) throws {
        let again = try call { session throws(EngineError) in
            try session.append(gid: gid, known: .none, parts: parts, fromOutbox: 9, deadline: soon)
        }
        try expect(again == receipt, "a group sent twice has \(receipt) and \(again)")
    }

    private func append(
        _ gid: [UInt8],
        _ parts: [EnginePart],
        _ entries: [SiteModel.Entry],
        fromOutbox: Int
    ) throws {
        let log = try engineLog()
        if Int.random(in: 0..<3, using: &random) == 0 { known = .none }
        tell("a group of \(entries.count), known \(known.seq), and \(fromOutbox) of SQL")
        let isLost =
            known.seq > 0 && log.chains[known.seq] != known.chain
            && (log.chains[known.seq] != nil || known.seq >= log.oldest)
        let receipt: EngineReceipt
        do {
            receipt = try call { session throws(EngineError) in
                try session.append(
                    gid: gid,
                    known: known,
                    parts: parts,
                    fromOutbox: fromOutbox,
                    deadline: soon
                )
            }
            try expect(!isLost, "a publisher that knows more than the engine is acknowledged")
        } catch EngineError.forked {
            try expect(isLost, "nothing that the publisher knows of was lost")
            known = .none
            return try append(gid, parts, entries, fromOutbox: fromOutbox)
        }
        let before = model.head
        model.entries += entries
        model.takePending(fromOutbox)
        var first = before
        for (part, told) in zip(parts, receipt.firsts) {
            try expect(told == first + 1 + Int64(part.skipped), "a part is at \(told)")
            first += Int64(part.count)
        }
        try expect(
            receipt.base == before + 1 && receipt.count == model.head - before,
            "after \(before), up to \(model.head): \(receipt)"
        )
        known = receipt.position
        if receipt.count > 0 { receipts[gid] = receipt }
    }

    // MARK: SQL

    func publishBySQL() throws {
        var calls: [String] = []
        var told: [SiteModel.Pending] = []
        for number in 0..<Int.random(in: 1...3, using: &random) {
            var next = SiteModel.Pending(entry: entry(number))
            if Int.random(in: 0..<4, using: &random) == 0 {
                next.key = "k\(Int.random(in: 0..<4, using: &random)) \(next.entry.channel)"
                if let used = model.sqlKeys[next.key!], Bool.random(using: &random) {
                    next.entry = used
                }
            }
            var call = "holdfast.publish('\(next.entry.channel)', '\(next.entry.text)'"
            call += ", content_type => 'text/plain'"
            if let topic = next.entry.topic { call += ", topic => '\(topic)'" }
            if let key = next.key { call += ", key => '\(key.prefix { $0 != " " })'" }
            calls.append("PERFORM \(call));")
            told.append(next)
        }
        let isDone = Int.random(in: 0..<4, using: &random) != 0
        tell("\(told.count) by SQL, committed: \(isDone)")
        if isDone { model.pending += told }
        try script(
            """
            BEGIN; DO $$ BEGIN \(calls.joined(separator: " ")) END $$; \
            \(isDone ? "COMMIT" : "ROLLBACK")
            """
        )
    }
}
