import Channels

/// What one reader has been given so far, and is still owed: the promise of cursors, judged by what was committed and
/// not by the code under test.
struct Session {
    enum Start: Equatable {
        case cursor(Cursor)
        /// What is committed after this position, which was the log's end when the request came.
        case now(Cursor)
        case first
        /// The newest few of each channel.
        case last(Int)
        /// The position of the newest message.
        case newest
    }

    /// Indices in the world's list.
    let channels: [Int]
    /// Everything up to here was given or reported as missing; nil if the position is not known yet.
    private(set) var position: Cursor?
    let start: Start
    /// For each channel, up to where a gap was reported.
    private var passed: [Int64]
    /// Marks after which a gap must be reported.
    private var debts: [Int64] = []
    /// Nothing below is owed: only the newest few were asked for.
    private var owedFrom: Int64 = 0
    /// The log's end when the answer was made: what comes later is given in addition to the newest few.
    private let head: Cursor?

    init(channels: [Int], start: Start, head: Cursor? = nil) {
        self.head = head
        self.channels = channels
        self.start = start
        passed = Array(repeating: 0, count: channels.count)
        if case .cursor(let cursor) = start { position = cursor }
    }

    /// It was held by a process at this position.
    mutating func stand(at place: Cursor) { position = place }

    struct Given {
        let id: Cursor
        let channel: String
        let text: String
    }

    /// Receives messages and the position after them.
    ///
    /// - Parameters:
    ///   - cursor: where the reader continues.
    ///   - gap: its reason.
    ///   - isComplete: nothing more was there when the answer was made.
    /// - Returns: what is wrong with it.
    mutating func take(
        _ messages: [Given],
        to cursor: Cursor,
        gap: String?,
        in log: borrowing SharedLog
    ) -> String? {
        guard log.ledger.knows(cursor.epoch) else { return "the cursor \(cursor) is of no epoch" }
        let head = log.ledger.head(of: cursor.epoch)
        guard cursor.offset.value <= head else {
            return "the cursor \(cursor) is beyond what was committed, \(head)"
        }
        var after: Int64?
        var allowsGone = false
        if let gap {
            guard ["trimmed", "deleted", "restarted", "future"].contains(gap) else {
                return "a gap of the unknown reason \(gap)"
            }
            allowsGone = true
        }
        switch (position, start) {
        case (let position?, _):
            switch log.ledger.standing(of: position, in: cursor.epoch, head: head) {
            case .valid(let place):
                // What was trimmed meanwhile may be reported together with what was lost before.
                if gap == "restarted" || gap == "future" {
                    return
                        "a gap (\(gap ?? "")) is told at \(position), which is valid in \(cursor.epoch)"
                }
                after = place
            case .restarted(let place):
                guard gap != nil else {
                    return "no gap is told at \(position), which is not valid in \(cursor.epoch)"
                }
                after = place
                passed = passed.map { _ in 0 }
            case .future:
                guard gap != nil else { return "no gap is told at \(position), beyond the end" }
            }
        case (nil, .now(let place)):
            // In another epoch, the position of the process is not known here.
            if place.epoch == cursor.epoch, gap != "restarted" {
                after = place.offset.value
                if cursor.offset.value < place.offset.value {
                    return "\(cursor) is before \(place), where it had to begin"
                }
            }
        case (nil, .first): (after, allowsGone) = (0, true)
        case (nil, .last), (nil, .newest), (nil, .cursor): break
        }
        if let after, let problem = order(messages, after: after, to: cursor) { return problem }
        if let problem = contents(messages, in: log) { return problem }
        if let after {
            if let problem = missing(messages, after, cursor, allowsGone, log) { return problem }
        } else if case .last(let count) = start, position == nil {
            if let problem = tooMany(messages, count) { return problem }
            owedFrom = max(owedFrom, head)
        }
        if gap == "trimmed" || gap == "deleted", let after,
            let problem = unfounded(gap ?? "", after, cursor, log)
        {
            return problem
        }
        if gap != nil || position?.epoch != cursor.epoch { debts = [] }
        if debts.contains(where: { $0 <= cursor.offset.value }) {
            return "messages are missing before \(cursor), and no gap was told"
        }
        if gap != nil || position == nil { pass(log) }
        position = cursor
        return nil
    }

    private func order(_ messages: [Given], after: Int64, to cursor: Cursor) -> String? {
        var last = after
        for message in messages {
            guard message.id.offset.value > last else {
                return "the message \(message.id) comes after \(last)"
            }
            last = message.id.offset.value
        }
        guard last <= cursor.offset.value else { return "\(cursor) is before the last message" }
        return nil
    }

    private func contents(_ messages: [Given], in log: borrowing SharedLog) -> String? {
        for message in messages {
            guard let record = log.ledger.record(message.id), let text = record.text else {
                return "the message \(message.id) was never committed"
            }
            guard text == message.text, log.names[record.channel].text == message.channel else {
                return "the message \(message.id) is not what was committed"
            }
            guard channels.contains(record.channel) else {
                return "the message \(message.id) is of a channel that was not asked for"
            }
        }
        return nil
    }

    private mutating func missing(
        _ messages: [Given],
        _ after: Int64,
        _ cursor: Cursor,
        _ allowsGone: Bool,
        _ log: borrowing SharedLog
    ) -> String? {
        var at = 0
        let owed = log.ledger.messages(
            in: cursor.epoch,
            of: channels,
            after: after,
            through: cursor.offset.value
        )
        for (id, record) in owed {
            if at < messages.count, messages[at].id == id {
                at += 1
                continue
            }
            // If it was still in the file, it was not read, and is trimmed like any other.
            if record.expires ?? .max <= log.retention { continue }
            switch record.gone {
            case .replaced, .expired: continue
            case .trimmed, .deleted:
                let place = channels.firstIndex(of: record.channel) ?? 0
                if allowsGone || id.offset.value <= passed[place] { continue }
                // A channel has one mark, which may be further on: the gap is reported when the reader comes there.
                let row = log.file.rows[record.channel]
                let mark = row.isKnown ? row.trimmedThrough : log.file.forgottenThrough
                if cursor.epoch != log.file.epoch || mark > cursor.offset.value {
                    if cursor.epoch == log.file.epoch { debts.append(mark) }
                    continue
                }
            case nil: break
            }
            if id.offset.value <= owedFrom { continue }
            return
                "the message \(id) of \(log.names[record.channel]) is missing between \(after) and \(cursor) (\(record.gone.map { "\($0)" } ?? "kept"))"
        }
        // The rest is in another order, or of another log.
        return at == messages.count ? nil : "the message \(messages[at].id) is out of place"
    }

    private func tooMany(_ messages: [Given], _ count: Int) -> String? {
        let old = messages.filter {
            $0.id.epoch == head?.epoch && $0.id.offset <= head?.offset ?? .start
        }
        for message in old where old.count(where: { $0.channel == message.channel }) > count {
            return "more than the newest \(count) of \(message.channel) are given"
        }
        return nil
    }

    /// A gap needs a mark after the reader's position.
    private func unfounded(
        _ gap: String,
        _ after: Int64,
        _ cursor: Cursor,
        _ log: borrowing SharedLog
    ) -> String? {
        // Marks of a log that was replaced are not known any more.
        guard cursor.epoch == log.file.epoch else { return nil }
        for channel in channels {
            let row = log.file.rows[channel]
            if row.isKnown ? row.trimmedThrough > after : log.file.forgottenThrough > after {
                return nil
            }
        }
        return "a gap (\(gap)) is told after \(after), where nothing is missing"
    }

    private mutating func pass(_ log: borrowing SharedLog) {
        for (index, channel) in channels.enumerated() {
            let row = log.file.rows[channel]
            passed[index] = max(
                passed[index],
                row.isKnown ? row.trimmedThrough : log.file.forgottenThrough
            )
        }
    }

    /// The greeting of a stream: where it begins.
    mutating func greet(at cursor: Cursor, in log: borrowing SharedLog) -> String? {
        if case .cursor(let asked) = start {
            return cursor == asked ? nil : "it is greeted at \(cursor), not at \(asked)"
        }
        guard log.ledger.knows(cursor.epoch) else { return "the cursor \(cursor) is of no epoch" }
        guard cursor.offset.value <= log.ledger.head(of: cursor.epoch) else {
            return "it is greeted at \(cursor), which is not committed yet"
        }
        if case .first = start, let problem = missing([], 0, cursor, true, log) { return problem }
        if case .last = start { owedFrom = log.ledger.head(of: cursor.epoch) }
        pass(log)
        position = cursor
        return nil
    }

    /// A gap ends the reading; the reader continues after it.
    mutating func skip(
        to cursor: Cursor,
        _ gap: String,
        in log: borrowing SharedLog
    ) -> String? {
        guard log.ledger.knows(cursor.epoch),
            cursor.offset.value <= log.ledger.head(of: cursor.epoch)
        else { return "it is told to go on at \(cursor), which was never given out" }
        if let position, gap == "trimmed" || gap == "deleted",
            case .valid(let after) = log.ledger.standing(
                of: position,
                in: cursor.epoch,
                head: log.ledger.head(of: cursor.epoch)
            ),
            let problem = unfounded(gap, after, cursor, log)
        {
            return problem
        }
        position = cursor
        return nil
    }
}

extension Cursor {
    /// A cursor of an epoch that no log has.
    static let unknown = Cursor(epoch: .ofNoLog, offset: .start)
}
