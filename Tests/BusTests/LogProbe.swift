import Bus
import Channels
import Foundation
import Synchronization
import Testing

/// A directory of a test's own, removed when nothing refers to it any more.
final class TemporaryDirectory: Sendable {
    let path: String

    init(in parent: String = "/tmp") {
        var template = Array("\(parent)/holdfast-bus-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template))
    }

    deinit {
        if ProcessInfo.processInfo.environment["HOLDFAST_KEEP"] == nil {
            try? FileManager.default.removeItem(atPath: path)
        }
    }
}

/// Clocks that only move when told to.
final class GivenClock: Sendable {
    let wall = Atomic<Int64>(1_700_000_000_000)
    let boot = Atomic<Int64>(1_000_000)

    func advance(seconds: Int64) {
        wall.add(seconds * 1000, ordering: .relaxed)
        boot.add(seconds * 1000, ordering: .relaxed)
    }

    func clocks(bootName: String = "boot-1") -> LogClocks {
        LogClocks(
            wall: { self.wall.load(ordering: .relaxed) },
            sinceBoot: { self.boot.load(ordering: .relaxed) },
            bootName: bootName
        )
    }
}

/// A log, and a receiver that keeps what it is told as the responder would.
final class LogProbe: Sendable {
    struct Told {
        var opened: [LogState] = []
        var resumed: [LogState] = []
        var epochs: EpochHistory?
        var head = Offset.start
        /// What holders got: messages beyond the head, in order.
        var live: [Message] = []
        var trims: [String: Offset] = [:]
        var forgotten = Offset.start
        /// Marks beyond the head when they came: messages that holders never saw.
        var missed: [TrimMark] = []
        var outcomes: [UInt64: AppendOutcome] = [:]
        /// The threads that told them.
        var tellers: [UInt64: pthread_t] = [:]
        var histories: [UInt64: Result<HistoryPage, ReadFailure>] = [:]
        var messages: [UInt64: Result<Message?, ReadFailure>] = [:]
        var channels: [UInt64: Result<ChannelListing, ReadFailure>] = [:]
        var notices: [String] = []
        /// What was told of the engine.
        var engine: [EngineTrouble?] = []
        var machines: SiteMachines?
        var unavailable: [String] = []
        var problems: [String] = []
        var ticket: UInt64 = 0
    }

    let log: Log
    let told: Mutex<Told>
    private let appendsAtOnce: Bool
    private let condition = NSCondition()

    /// - Parameter appendsAtOnce: as the responder does if there is nothing else to do.
    init(
        _ settings: BusSettings,
        clocks: LogClocks = .system,
        channelLimit: Int = 1000,
        retention: @escaping @Sendable (ChannelName) -> Retention = { _ in Retention() },
        appendsAtOnce: Bool = false,
        start: Bool = true
    ) {
        self.appendsAtOnce = appendsAtOnce
        let told = Box()
        let condition = condition
        self.told = Mutex(Told())
        log = Log(
            settings: settings,
            channelLimit: channelLimit,
            retention: retention,
            clocks: clocks,
            deliver: { events in
                condition.lock()
                for event in events { told.probe?.take(event) }
                condition.broadcast()
                condition.unlock()
            }
        )
        told.probe = self
        if start {
            log.start()
            wait("opened") { !$0.opened.isEmpty || !$0.unavailable.isEmpty }
        }
    }

    private final class Box: @unchecked Sendable {
        // Set before the log is started.
        weak var probe: LogProbe?
    }

    private func take(_ event: LogEvent) {
        told.withLock { told in
            switch event {
            case .opened(let state):
                told.opened.append(state)
                (told.epochs, told.head) = (state.epochs, state.head)
            case .resumed(let state):
                if state.head < told.head { told.problems.append("resumed before \(told.head)") }
                told.resumed.append(state)
                told.head = max(told.head, state.head)
            case .committed(let batch):
                if batch.previous > told.head {
                    told.problems.append(
                        "batch (\(batch.previous), \(batch.head)] after \(told.head)"
                    )
                }
                if batch.forgottenThrough > batch.previous {
                    told.problems.append("forgotten through \(batch.forgottenThrough), unread")
                }
                told.forgotten = max(told.forgotten, batch.forgottenThrough)
                for mark in batch.trims {
                    if mark.through > told.head { told.missed.append(mark) }
                    told.trims[mark.channel.text] = max(
                        told.trims[mark.channel.text] ?? .start,
                        mark.through
                    )
                }
                var last = batch.previous
                for message in batch.messages {
                    if message.offset <= last || message.offset > batch.head {
                        told.problems.append("message \(message.offset) out of order")
                    }
                    last = message.offset
                    if message.offset > told.head { told.live.append(message) }
                }
                told.head = max(told.head, batch.head)
            case .appended(let ticket, let outcome):
                if told.outcomes[ticket] != nil { told.problems.append("\(ticket) answered twice") }
                if case .committed(let ids) = outcome, let id = ids.last, id.offset > told.head {
                    told.problems.append("\(ticket) answered before it was told")
                }
                told.outcomes[ticket] = outcome
                told.tellers[ticket] = pthread_self()
            case .history(let ticket, let result):
                if case .success(let reading) = result, reading.scanned > told.head {
                    told.problems.append("history is ahead of what was told")
                }
                told.histories[ticket] = result
            case .message(let ticket, let result): told.messages[ticket] = result
            case .channels(let ticket, let result): told.channels[ticket] = result
            case .unavailable(let sentence, _): told.unavailable.append(sentence)
            case .engine(let trouble): told.engine.append(trouble)
            case .machines(let machines): told.machines = machines
            case .notice(let sentence, _): told.notices.append(sentence)
            }
        }
    }

    /// Waits until the condition holds; records a failure after a generous time.
    func wait(
        _ what: String,
        seconds: Double = 60,
        location: SourceLocation = #_sourceLocation,
        until holds: (Told) -> Bool
    ) {
        let end = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        defer { condition.unlock() }
        while !told.withLock({ holds($0) }) {
            if !condition.wait(until: end) {
                let told = told.withLock { $0 }
                Issue.record(
                    "timed out waiting: \(what); \(told.unavailable) \(told.notices)",
                    sourceLocation: location
                )
                return
            }
        }
    }

    private func newTicket() -> UInt64 {
        told.withLock {
            $0.ticket += 1
            return $0.ticket
        }
    }

    @discardableResult
    func send(
        _ drafts: [Draft],
        dropping: [String] = [],
        key: IdempotencyKey? = nil,
        quota: PublisherQuota? = nil,
        takesLastPlaces: Bool = true,
        atOnce: Bool? = nil
    ) -> UInt64 {
        let ticket = newTicket()
        var append = Append(
            ticket: ticket,
            drafts: drafts,
            dropping: dropping.map(name),
            idempotency: key,
            quota: quota
        )
        append.takesLastPlaces = takesLastPlaces
        if atOnce ?? appendsAtOnce { log.appendAtOnce([append]) } else { log.append(append) }
        return ticket
    }

    /// Appends all of them at once.
    func sendTogether(_ drafts: [Draft]) -> [UInt64] {
        let appends = drafts.map { Append(ticket: newTicket(), drafts: [$0]) }
        log.appendAtOnce(appends)
        return appends.map(\.ticket)
    }

    func outcome(of ticket: UInt64, location: SourceLocation = #_sourceLocation) -> AppendOutcome {
        wait("outcome \(ticket)", location: location) { $0.outcomes[ticket] != nil }
        return told.withLock { $0.outcomes[ticket] } ?? .unavailable
    }

    @discardableResult
    func append(
        _ drafts: Draft...,
        key: IdempotencyKey? = nil,
        takesLastPlaces: Bool = true,
        location: SourceLocation = #_sourceLocation
    ) -> AppendOutcome {
        outcome(
            of: send(drafts, key: key, takesLastPlaces: takesLastPlaces),
            location: location
        )
    }

    func read(
        _ channels: [String],
        _ start: HistoryStart,
        limit: Int = 1000,
        bytes: Int = 1 << 20,
        looksAhead: Bool = false,
        location: SourceLocation = #_sourceLocation
    ) -> HistoryPage {
        let result = reading(
            channels,
            start,
            limit: limit,
            bytes: bytes,
            looksAhead: looksAhead,
            location: location
        )
        if case .success(let page)? = result { return page }
        Issue.record("history failed", sourceLocation: location)
        return HistoryPage(messages: [], scanned: .start, more: false, gap: nil, newest: .start)
    }

    /// Nil: no answer came.
    func reading(
        _ channels: [String],
        _ start: HistoryStart,
        limit: Int = 1000,
        bytes: Int = 1 << 20,
        looksAhead: Bool = false,
        location: SourceLocation = #_sourceLocation
    ) -> Result<HistoryPage, ReadFailure>? {
        let ticket = newTicket()
        log.read(
            .history(
                HistoryRequest(
                    ticket: ticket,
                    channels: channels.map(name),
                    start: start,
                    messageLimit: limit,
                    byteLimit: bytes,
                    looksAhead: looksAhead
                )
            )
        )
        wait("history \(ticket)", location: location) { $0.histories[ticket] != nil }
        return told.withLock { $0.histories[ticket] }
    }

    func channels(
        _ selection: ChannelSelection = .after(nil, limit: 1000)
    ) -> ChannelListing? {
        let ticket = newTicket()
        log.read(.channels(ticket: ticket, selection))
        wait("channels \(ticket)") { $0.channels[ticket] != nil }
        return try? told.withLock { $0.channels[ticket] }?.get()
    }

    func message(_ id: Cursor) -> Message? {
        let ticket = newTicket()
        log.read(.message(ticket: ticket, id))
        wait("message \(ticket)") { $0.messages[ticket] != nil }
        return try? told.withLock { $0.messages[ticket] }?.get()
    }

    var now: Told { told.withLock { $0 } }

    /// Ends the log; whatever it told must have been in order.
    func stop(location: SourceLocation = #_sourceLocation) {
        #expect(log.stop(patienceMilliseconds: 60_000), sourceLocation: location)
        #expect(now.problems == [], sourceLocation: location)
    }
}

/// Polls a condition that no event reports.
func eventually(
    _ what: String,
    seconds: Double = 60,
    location: SourceLocation = #_sourceLocation,
    _ holds: () throws -> Bool
) throws {
    let end = Date(timeIntervalSinceNow: seconds)
    while try !holds() {
        guard Date() < end else {
            Issue.record("timed out waiting: \(what)", sourceLocation: location)
            return
        }
        poll(nil, 0, 5)
    }
}

func name(_ text: String) -> ChannelName { try! ChannelName(text) }

func draft(
    _ channel: String,
    _ text: String,
    ttl: Int? = nil,
    topic: String? = nil
) -> Draft {
    Draft(
        channel: name(channel),
        kind: .text,
        contentType: "text/plain",
        body: Array(text.utf8),
        timeToLiveSeconds: ttl,
        topic: topic
    )
}

func settings(_ directory: TemporaryDirectory) -> BusSettings {
    var settings = BusSettings()
    settings.directory = directory.path + "/bus"
    settings.reserveBytes = 65_536
    return settings
}

extension Message {
    var text: String { String(decoding: body, as: UTF8.self) }
}

extension AppendOutcome {
    var id: Cursor? {
        switch self {
        case .committed(let ids), .repeated(let ids): ids.first
        case .conflict, .overQuota, .noMoreChannels, .full, .logBusy, .unavailable: nil
        }
    }
}

func keep(count: Int = 1000, seconds: Int = 86_400, bytes: Int = 1 << 24)
    -> @Sendable (ChannelName)
    -> Retention
{
    {
        _ in
        var retention = Retention()
        (retention.count, retention.ageSeconds, retention.bytes) = (count, seconds, bytes)
        return retention
    }
}
