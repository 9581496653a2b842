internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import Text

/// A named pipe, and the progress of its lines.
struct PipeReader {
    private enum State {
        case idle
        /// A portion is being appended to the log.
        case appending(byteCount: Int, count: Int, beginning: String)
    }

    /// The outcome of a portion.
    struct Settled {
        var committed = 0
        /// The log refuses everything, for the first time since it last accepted something.
        var beginsToWait = false
    }

    /// Lines refused since the last note, the newest of them, and why.
    typealias Refusals = (count: Int, sentence: String, beginning: String)

    let settings: PipeSettings
    private var pipe: NamedPipe
    private var interface: PipeInterface
    private var state = State.idle
    /// Everything up to the next line end belongs to a line that is too long.
    private(set) var isSkipping = false
    /// This many lines are appended one at a time, to find the one that the log refuses.
    private var singleLines = 0
    /// Monotonic milliseconds of the next read that needs no event; nil: none.
    private var readAt: Int64?
    /// Bytes at the front of the pipe that are finished.
    private var doneBytes = 0
    /// Bytes of an incomplete line, as of the last reading.
    private var incompleteBytes = 0
    /// Nothing can be done until a writer writes more.
    private var isEmptied = true
    /// Whether it was logged that the log refuses everything.
    private var saidWaiting = false
    /// Another pipe has taken its path, and is used once no line is left in this one.
    private(set) var isReplaced = false
    /// Why the new one cannot be opened, as logged last.
    private var trouble = LastingReason()
    /// A writer's mistake occurs in each of its lines: one note a second is enough.
    private var refusals = ThrottledCount(milliseconds: 1000)
    /// Why the newest refused line was refused, and how it begins.
    private var refused = (sentence: "", beginning: "")
    /// Notes that are due.
    private var notes: [Refusals] = []

    init(_ settings: PipeSettings, _ limits: LimitSettings) throws(ServingProblem) {
        self.settings = settings
        // Room for some lines of the largest size.
        pipe = try NamedPipe(
            settings,
            room: min(1 << 20, max(65_536, (limits.messageBytes + 1024) * 4))
        )
        interface = PipeInterface(settings, limits: limits, capacity: pipe.capacity)
    }

    mutating func apply(_ limits: LimitSettings) {
        interface = PipeInterface(settings, limits: limits, capacity: pipe.capacity)
    }

    var descriptor: Int32 { pipe.descriptor }
    var left: (bytes: Int, lines: Int) { pipe.left }
    /// All lines refused so far.
    var refusedCount: UInt64 { UInt64(refusals.total) }
    var isInPlace: Bool { pipe.isInPlace }

    private var isAppending: Bool {
        if case .appending = state { true } else { false }
    }

    /// Whether it contains nothing that could be published.
    var isDry: Bool { isEmptied && !isAppending }

    /// What the next process must know of it: a line of the note.
    var note: String { isSkipping ? skipLine : "" }
    private var skipLine: String { "skip \(pipe.name)\n" }

    // MARK: Serving

    mutating func begin(note: String, now: Int64) {
        isSkipping = note.includes(skipLine)
        readNow(now: now)
    }

    mutating func end() { (state, readAt) = (.idle, nil) }

    mutating func close() { pipe.close() }

    mutating func readNow(now: Int64) { (readAt, isEmptied) = (now, false) }

    /// Records that there is new input. If a long line arrives in small pieces, not each of them is read.
    mutating func isReady(now: Int64) {
        if incompleteBytes > 4096, let readAt, readAt > now {
            self.readAt = min(readAt, now + 10)
        } else {
            readNow(now: now)
        }
    }

    mutating func postpone(until time: Int64) {
        (state, readAt) = (.idle, time)
    }

    var alarm: Int64 { min(readAt ?? .max, refusals.alarm) }

    func isDue(now: Int64) -> Bool { readAt.map { now >= $0 } ?? false }

    // MARK: Reading

    /// Reads one turn's share: until it must wait for the log, nothing is left, or the share is used up. `takeDone` must
    /// follow.
    ///
    /// - Returns: lines for the log.
    mutating func next(now: Int64) -> Publication? {
        readAt = nil
        guard !isAppending else { return nil }
        isEmptied = false
        let (bytes, isFull) = pipe.peek()
        var rest = bytes[...]
        defer { doneBytes = rest.startIndex }
        for _ in 0..<PipeInterface.lineCount {
            guard !rest.isEmpty else { break }
            if isSkipping {
                let end = rest.firstIndex(of: UInt8(ascii: "\n"))
                rest = rest[(end.map { $0 + 1 } ?? rest.endIndex)...]
                if end != nil { isSkipping = false }
                continue
            }
            let portion = interface.portion(
                rest,
                isFull: isFull && rest.startIndex == 0,
                lineCount: singleLines > 0 ? 1 : PipeInterface.lineCount
            )
            switch portion {
            case .lines(let publication, let count, let byteCount):
                let beginning = String(decoding: rest.prefix(80), as: UTF8.self)
                state = .appending(byteCount: byteCount, count: count, beginning: beginning)
                return publication
            case .bad(let sentence, let beginning, let byteCount):
                refuse(sentence, beginning, now: now)
                rest = rest.dropFirst(byteCount)
            case .nothing(let byteCount): rest = rest.dropFirst(byteCount)
            case .overlong(let beginning, let byteCount, let isWhole):
                refuse("A line has at most \(interface.lineLimit) bytes.", beginning, now: now)
                isSkipping = !isWhole
                rest = rest.dropFirst(byteCount)
            case .incomplete:
                incompleteBytes = rest.count
                isEmptied = true
                // An event reports a writer's next piece; if one is ever missed, it is found a second later.
                readAt = now + 1000
                return nil
            }
        }
        incompleteBytes = 0
        isEmptied = bytes.isEmpty
        if !bytes.isEmpty { readAt = now }
        return nil
    }

    /// Removes what is finished from the pipe, but not before the note says whether the rest of a line must be skipped: if
    /// this process is killed in between, the next one skips the line from its beginning.
    mutating func takeDone() {
        pipe.take(doneBytes)
        doneBytes = 0
    }

    /// The log's answer to a portion; nil if none is on its way.
    mutating func settle(_ outcome: AppendOutcome, isStopping: Bool, now: Int64) -> Settled? {
        guard case .appending(let byteCount, let count, let beginning) = state else { return nil }
        state = .idle
        var settled = Settled()
        readAt = now
        switch outcome {
        case .committed, .repeated:
            settled.committed = count
            pipe.take(byteCount)
            saidWaiting = false
            singleLines = max(0, singleLines - count)
        case .conflict:
            refuse("The key was used for another message.", beginning, now: now)
            pipe.take(byteCount)
        // One of these lines names a channel beyond the limit; the others do not wait for it.
        case .noMoreChannels where count > 1: singleLines = count
        case .noMoreChannels:
            refuse(Problem.noMoreChannels.detail, beginning, now: now)
            pipe.take(byteCount)
            singleLines = max(0, singleLines - 1)
        case .full, .logBusy, .unavailable, .overQuota:
            settled.beginsToWait = !saidWaiting
            saidWaiting = true
            readAt = now + (isStopping ? 100 : 1000)
        }
        return settled
    }

    // MARK: Replacement

    /// Whether another pipe has taken its path since the last call.
    mutating func findReplaced() -> Bool {
        guard !isReplaced, !pipe.isInPlace else { return false }
        isReplaced = true
        return true
    }

    var mayBeExchanged: Bool { isReplaced && !isAppending && pipe.left.lines == 0 }

    /// Continues with the pipe at its path.
    mutating func exchange(for new: PipeReader, now: Int64) {
        pipe.close()
        (pipe, interface) = (new.pipe, new.interface)
        (isSkipping, isReplaced) = (false, false)
        trouble.end()
        readNow(now: now)
    }

    /// The new pipe cannot be opened. Returns whether that is to be logged.
    mutating func cannotExchange(_ sentence: String) -> Bool {
        isReplaced = false
        return trouble.isNew(sentence)
    }

    // MARK: Refusals

    private mutating func refuse(_ sentence: String, _ beginning: String, now: Int64) {
        refusals.add()
        refused = (sentence, beginning)
        noteRefusals(now: now)
    }

    private mutating func noteRefusals(now: Int64, isLast: Bool = false) {
        guard let count = refusals.take(now: now, isLast: isLast) else { return }
        notes.append((count, refused.sentence, refused.beginning))
    }

    /// The notes that are due now.
    ///
    /// - Parameter isLast: no later note may follow.
    mutating func takeNotes(now: Int64, isLast: Bool) -> [Refusals] {
        noteRefusals(now: now, isLast: isLast)
        defer { notes = [] }
        return notes
    }
}
