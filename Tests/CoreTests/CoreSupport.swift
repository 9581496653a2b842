import Channels
import Configuration
import FastCGI
import Liveness
import Testing
import Text

@testable import Core
@testable import Endpoint

func channel(_ name: String) -> ChannelName { try! ChannelName(name) }

func epoch(_ name: String) -> Epoch { Epoch(name)! }

let settingsOfTests: Settings = {
    var settings = Settings()
    settings.allow = [
        AllowRule(pattern: ChannelPattern("**")!, read: .everyone, publish: .everyone)
    ]
    settings.hold.jitterPercent = 0
    return settings
}()

/// Something that a peer was sent.
struct Sent: Equatable {
    let id: UInt16
    let form: Payload.Form
    let text: String
    let isLast: Bool
    let isBounded: Bool

    var status: Int? {
        text.hasPrefix("Status: ") ? Int(text.dropFirst(8).prefix(3)) : nil
    }
}

/// One core with everything around it: connections whose peers take what they are sent, a log that answers when it is
/// told to, and a clock that stands still.
final class World {
    var core: Core
    private(set) var now: Int64
    private var nanoseconds: Int64 = 0
    private var left: Set<ConnectionID> = []
    private var buffer = Actions()
    private var lastIndex: Int32 = -1

    private(set) var sent: [ConnectionID: [Sent]] = [:]
    private(set) var dropped: [ConnectionID] = []
    private(set) var reads: [ReadRequest] = []
    private(set) var appends: [Append] = []
    private(set) var words: [SubscriberWord] = []
    private(set) var members: [PresentMember] = []
    private(set) var surveys: [(ticket: Ticket, question: SurveyQuestion)] = []
    private(set) var endedSurveys: [Ticket] = []
    private(set) var figuresAsked: [Bool] = []
    private(set) var notices: [String] = []
    private(set) var complaints: [Complaint] = []
    private(set) var piped: [(pipe: Int, outcome: AppendOutcome)] = []
    private(set) var reading: [ConnectionID] = []
    private(set) var traces: [RequestTrace] = []
    private(set) var delivered = 0
    private(set) var publisherWaits = 0
    /// Payloads of the last event, and how many handovers it took.
    private(set) var payloadCount = 0
    private(set) var handovers = 0

    /// The newest offset that others have committed.
    var committed: Offset?
    private(set) var epochs = EpochHistory([
        .init(epoch: epoch("k7f2"), start: Offset(1), told: nil)
    ])
    private(set) var head = Offset(0)

    init(
        connectionLimit: Int = 10_000,
        isOpen: Bool = true,
        at now: Int64 = 1_000_000,
        _ change: (inout Settings) -> Void = { _ in }
    ) {
        self.now = now
        var settings = settingsOfTests
        change(&settings)
        core = Core(
            settings: settings,
            numbers: [:],
            connectionLimit: connectionLimit,
            seed: 7,
            now: now
        )
        if isOpen { open() }
    }

    /// Another process with the same log, which goes on with this one's names of connections. It is not open yet.
    convenience init(after old: World, head: Offset, _ change: (inout Settings) -> Void) {
        self.init(isOpen: false, at: old.now, change)
        (lastIndex, epochs, self.head) = (old.lastIndex, old.epochs, head)
    }

    var moment: Moment {
        nanoseconds += 1000
        return Moment(
            milliseconds: now,
            nanoseconds: now * 1_000_000 + nanoseconds,
            retentionMilliseconds: now,
            committedHead: committed
        )
    }

    // MARK: Actions

    func drain() {
        (payloadCount, handovers) = (0, 0)
        while true {
            core.exchange(&buffer)
            guard !buffer.isEmpty else { return }
            handovers += 1
            payloadCount += buffer.payloads.count
            for entry in buffer.entries { carryOut(entry) }
        }
    }

    private func carryOut(_ action: Action) {
        switch action {
        case .send(let send):
            let payload = buffer.payloads[Int(send.payload)]
            #expect(buffer.payloads[Int(payload.bodyIndex)].body == payload.body)
            sent[send.connection, default: []].append(
                Sent(
                    id: send.id.value,
                    form: payload.form,
                    text: String(decoding: payload.header + payload.body, as: UTF8.self),
                    isLast: send.flags.contains(.last),
                    isBounded: send.isBounded
                )
            )
        case .drop(let connection): dropped.append(connection)
        case .read(let connection): reading.append(connection)
        case .look(let connection, _): core.looked(hasLeft: left.contains(connection))
        case .settle, .account: break
        case .errand(let index): carryOut(buffer.errands[Int(index)])
        }
    }

    private func carryOut(_ errand: Errand) {
        switch errand {
        case .read(let read): reads.append(read)
        case .append(let append): appends.append(append)
        case .piped(let pipe, let outcome): piped.append((pipe, outcome))
        case .tell(let word): words.append(word)
        case .tellMembers(let news): members += news
        case .page(let page, let address): core.made(page.notFound(), for: address)
        case .delivered(0, _): break
        case .survey(let ticket, let question): surveys.append((ticket, question))
        case .endSurvey(let ticket): endedSurveys.append(ticket)
        case .figures(let areWatched): figuresAsked.append(areWatched)
        case .delivered(let count, _): delivered += count
        case .notice(_, let sentence): notices.append(sentence)
        case .trace(let trace): traces.append(trace)
        case .complaint(let complaint, _): complaints.append(complaint)
        case .publisherWaits: publisherWaits += 1
        }
    }

    /// What a peer was sent since this was asked last.
    func take(_ connection: ConnectionID) -> [Sent] { sent.removeValue(forKey: connection) ?? [] }

    /// The texts of it.
    func texts(_ connection: ConnectionID) -> [String] { take(connection).map(\.text) }

    func takeReads() -> [ReadRequest] {
        defer { reads = [] }
        return reads
    }

    func takeAppends() -> [Append] {
        defer { appends = [] }
        return appends
    }

    func takeWords() -> [SubscriberWord] {
        defer { words = [] }
        return words
    }

    func takeMembers() -> [PresentMember] {
        defer { members = [] }
        return members
    }

    // MARK: Connections

    func connect() -> ConnectionID {
        lastIndex += 1
        let connection = ConnectionID(index: lastIndex, generation: 0)
        core.connected(connection)
        return connection
    }

    func connectBus(isOwner: Bool = true) -> ConnectionID {
        lastIndex += 1
        let connection = ConnectionID(index: lastIndex, generation: 0)
        core.connected(connection, client: LocalPeer(user: 0, groups: [0], isOwner: isOwner))
        return connection
    }

    /// The peer is gone, and no event tells of it.
    func leaveSilently(_ connection: ConnectionID) { left.insert(connection) }

    // MARK: Time

    /// Milliseconds since 1970; whole seconds when `now` is.
    var wall: Int64 { now + 1_766_000_000_000 }

    func turn() {
        core.turn(at: moment)
        drain()
    }

    /// Lets time pass in small steps, as a loop would that keeps its alarms.
    func pass(_ milliseconds: Int64) {
        let end = now + milliseconds
        while now < end {
            now = min(end, max(now + 1, core.nextAlarm == .min ? now + 1 : core.nextAlarm))
            turn()
        }
    }

    func stop() {
        core.stop(at: moment)
        drain()
    }

    // MARK: The log

    func tell(_ event: LogEvent) {
        core.log(event, toldAt: now * 1_000_000, at: moment)
        drain()
    }

    /// - Parameter messages: those that memory has.
    func state(
        _ messages: [Message] = [],
        trims: [TrimMark] = [],
        floor: Int64 = 0
    ) -> LogState {
        LogState(
            epochs: epochs,
            head: head,
            floor: Offset(floor),
            messages: messages,
            trims: trims,
            forgottenThrough: Offset(0)
        )
    }

    func open() { tell(.opened(state())) }

    /// Another log takes the place of this one, which tells less than was told.
    func replaceLog() {
        epochs = EpochHistory([.init(epoch: epoch("zz99"), start: Offset(1), told: nil)])
        head = Offset(0)
        tell(.opened(state()))
    }

    /// The same, and the core is not told.
    func replaceLogUnnoticed() {
        epochs = EpochHistory([.init(epoch: epoch("zz99"), start: Offset(1), told: nil)])
        head = Offset(0)
    }

    /// What came after this was lost, and no epoch tells of that yet.
    func goBack(to newHead: Int64) {
        head = Offset(newHead)
        tell(.opened(state(floor: newHead)))
    }

    /// More came than memory keeps.
    func fallBehind(to newHead: Int64) {
        head = Offset(newHead)
        tell(.resumed(state(floor: newHead)))
    }

    func message(
        _ name: String,
        _ text: String,
        at offset: Int64,
        type: String? = nil,
        topic: String? = nil
    )
        -> Message
    {
        Message(
            offset: Offset(offset),
            epoch: epochs.current,
            channel: channel(name),
            timeMilliseconds: 1_769_860_800_123,
            kind: .text,
            contentType: "text/plain",
            body: Array(text.utf8),
            type: type,
            topic: topic
        )
    }

    func commit(_ messages: (channel: String, text: String)..., trims: [TrimMark] = []) {
        commit(messages, trims: trims)
    }

    func commit(_ messages: [(channel: String, text: String)], trims: [TrimMark] = []) {
        let previous = head
        let made = messages.enumerated().map { index, one in
            message(one.channel, one.text, at: previous.value + Int64(index) + 1)
        }
        head = Offset(previous.value + Int64(made.count) + (trims.isEmpty ? 0 : 1))
        tell(
            .committed(
                CommittedBatch(previous: previous, head: head, messages: made, trims: trims)
            )
        )
    }

    /// One message, behind the log's end.
    func commit(_ message: Message) {
        let previous = head
        head = message.offset
        tell(
            .committed(
                CommittedBatch(previous: previous, head: head, messages: [message], trims: [])
            )
        )
    }

    /// Answers the oldest question for history.
    func answerHistory(
        _ messages: [Message],
        scanned: Int64,
        more: Bool = false,
        gap: GapReason? = nil,
        marks: [TrimMark] = []
    ) {
        let read = reads.removeFirst()
        tell(
            .history(
                ticket: read.ticket,
                .success(
                    HistoryPage(
                        messages: messages,
                        scanned: Offset(scanned),
                        more: more,
                        gap: gap,
                        marks: marks,
                        newest: Offset(scanned)
                    )
                )
            )
        )
    }

    func failHistory() {
        tell(.history(ticket: reads.removeFirst().ticket, .failure(.unavailable)))
    }

    /// Answers what was appended first.
    func answerAppend(_ outcome: AppendOutcome) {
        tell(.appended(ticket: appends.removeFirst().ticket, outcome))
    }
}

extension World {
    /// One whose channel `room` has presence, and which has read that it has no members.
    static func withPresence() -> World {
        let world = World(isOpen: false) {
            $0.presence = [PresenceRule(pattern: ChannelPattern("room")!, graceSeconds: 10)]
        }
        world.open()
        world.tell(
            .channels(
                ticket: world.takeReads()[0].ticket,
                .success(ChannelListing(entries: [], next: nil))
            )
        )
        return world
    }
}
