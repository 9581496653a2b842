internal import Bus
internal import Channels
internal import Core
internal import Liveness
internal import Logging
internal import Reactor
internal import Text

/// The messages between the processes of a bus: which are present, which are silent, and questions to all. Reactor thread
/// only.
///
/// It does not interpret the messages: `next` passes them on.
final class SiblingService {
    /// A message from another process that must be acted on.
    enum Received {
        case message(SiblingMessage, sender: String)
        /// A datagram that no process of this release sends; the reason, as half a sentence.
        case passedOver(String)
    }

    private let logger: Logger
    private let epoll: Epoll
    private var socket: Siblings?
    private var settings: BusSettings?
    /// Why there is no socket, as logged last.
    private var trouble = LastingReason()
    /// Processes that have not answered the last question, and those that had not answered an earlier one.
    private var asked: Set<String> = []
    private var silent: Set<String> = []
    /// The messages about subscribers for each of the others.
    private var posted: [String: [SubscriberWord]] = [:]
    /// Monotonic milliseconds of the next question whether the others are present, and of the next attempt to send.
    private var askAt = Int64.max
    private var sendAt = Int64.max
    /// The number of skipped messages.
    private(set) var passedOver: UInt64 = 0

    private static let askMilliseconds: Int64 = 10_000
    /// The time after which a message that did not fit into another's queue is sent again.
    private static let retryMilliseconds: Int64 = 20

    init(epoll: Epoll, logger: Logger) {
        self.epoll = epoll
        self.logger = logger
    }

    /// The bus directory exists, perhaps in place of an old one. What fails is tried again.
    func open(_ settings: BusSettings, now: Int64) {
        if let socket { epoll.remove(socket.descriptor) }
        socket = nil
        self.settings = settings
        (asked, silent, posted, sendAt) = ([], [], [:], .max)
        do {
            let made = try Siblings(settings)
            try epoll.add(made.descriptor, [.read])
            socket = made
            askAt = now
            trouble.end()
        } catch {
            let sentence = "cannot reach the other processes of the bus: \(error)"
            if trouble.isNew(sentence) { logger.warning("\(sentence)") }
            askAt = now + Self.askMilliseconds
        }
    }

    /// -1 without a socket.
    var descriptor: Int32 { socket?.descriptor ?? -1 }

    /// Whether any other process is known.
    var hasOthers: Bool { socket?.known.isEmpty == false }

    // MARK: Time

    /// Monotonic milliseconds when `turn` has something to do; `.min`: at the end of this turn of the loop.
    var alarm: Int64 { min(askAt, sendAt) }

    /// Sends the posted messages, and asks from time to time whether the others are present.
    ///
    /// - Returns: whether the others were asked, so that `hasOthers` may have changed.
    func turn(now: Int64) -> Bool {
        defer { if now >= sendAt { send(now: now) } }
        return ask(now: now)
    }

    /// Reports those that do not answer to the operator: no process can take over what they serve.
    private func ask(now: Int64) -> Bool {
        guard now >= askAt else { return false }
        if let settings, socket?.isInPlace != true {
            if let socket { logger.warning("\(socket.path) was removed; making another one") }
            open(settings, now: now)
        }
        askAt = now + Self.askMilliseconds
        // A process that has ended since then, for example by a hand-over, sends nothing more.
        let present = socket?.tell(SiblingMessage.question(0).bytes) ?? []
        for name in asked.intersection(present) where silent.insert(name).inserted {
            let sentence =
                "process \(Siblings.processNumber(of: name)) of this bus does not answer: is it stopped, or stuck? What "
                + "it serves nobody else can take over before it ends"
            logger.warning("\(sentence)")
        }
        asked = present
        silent.formIntersection(asked)
        return true
    }

    /// Sends the posted messages, as far as the others' queues have room.
    private func send(now: Int64) {
        sendAt = .max
        guard let socket else { return }
        for (name, words) in posted {
            var rest = words[...]
            while !rest.isEmpty {
                let piece = rest.prefix(1000)
                let outcome = socket.send(SiblingMessage.words(Array(piece)).bytes, to: name)
                if outcome == .full { break }
                rest = outcome == .gone ? [] : rest.dropFirst(piece.count)
            }
            posted[name] = rest.isEmpty ? nil : Array(rest)
        }
        if !posted.isEmpty { sendAt = now + Self.retryMilliseconds }
    }

    // MARK: Receiving

    /// The next message; nil if there is none.
    func next() -> Received? {
        guard let received = socket?.next() else { return nil }
        switch received {
        case .message(let bytes, let sender):
            guard let message = SiblingMessage(bytes) else { return malformed() }
            socket?.heard(from: sender)
            asked.remove(sender)
            if silent.remove(sender) != nil {
                logger.notice(
                    "process \(Siblings.processNumber(of: sender)) of this bus answers again"
                )
            }
            return .message(message, sender: sender)
        case .foreign(let user):
            passedOver += 1
            return .passedOver(
                "its sender runs as user \(user), neither root nor holdfast's own user"
            )
        case .malformed: return malformed()
        }
    }

    private func malformed() -> Received {
        passedOver += 1
        return .passedOver("this release does not know its form")
    }

    // MARK: Sending

    /// Asks all others; returns their number.
    func ask(_ question: SiblingMessage) -> Int { socket?.tell(question.bytes).count ?? 0 }

    func answer(_ message: SiblingMessage, to name: String) {
        socket?.send(message.bytes, to: name)
    }

    /// Tells all others about a subscriber at the end of the turn, or later if their queues are full.
    func post(_ word: SubscriberWord) {
        for name in socket?.known ?? [] where (posted[name]?.count ?? 0) < 60_000 {
            // What waits for room goes with it.
            sendAt = .min
            posted[name, default: []].append(word)
        }
    }

    /// Tells which members are present here, in as many messages as necessary; a lost one does no harm.
    func tell(_ members: [SiblingMessage.Here]) {
        guard let socket, hasOthers else { return }
        var piece: [SiblingMessage.Here] = []
        var bytes = 0
        for member in members {
            // The subscriber in hexadecimal, two blanks and a line end.
            let line = member.channel.text.utf8.count + member.member.topic.utf8.count + 19
            if bytes + line > Siblings.datagramBytes - 64 {
                socket.tellKnown(SiblingMessage.here(piece).bytes)
                (piece, bytes) = ([], 0)
            }
            piece.append(member)
            bytes += line
        }
        if !piece.isEmpty { socket.tellKnown(SiblingMessage.here(piece).bytes) }
    }
}
