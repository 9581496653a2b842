internal import Bus
internal import Channels
internal import Logging
internal import Reactor
internal import System
internal import Text

/// A program that replaces this one: the program's file has been replaced.
package struct Successor: Sendable {
    package let program: String
    /// Without the program's name.
    package let arguments: [String]
    /// `NAME=value` each. The responder adds `variable`.
    package let environment: [String]

    /// Names the descriptor by which the successor communicates with its predecessor.
    package static let variable = "HOLDFAST_TAKE_OVER"

    package init(program: String, arguments: [String], environment: [String]) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
    }
}

/// The socket on which a newer process may ask to take over from this one, and the connection to it. At most one at a
/// time; reactor thread only.
final class HandOverService {
    private let epoll: Epoll
    private let logger: Logger
    private var door: MessageDoor?
    /// Whether there is to be such a socket, and why there is none, as logged last.
    private var isOpen = false
    private var trouble = LastingReason()
    private(set) var channel: MessageChannel?
    /// The other side has sent its hello.
    private(set) var isGreeted = false
    /// The successor that this process has started, until it is known to have ended.
    private var child: ChildProcess?
    /// Monotonic milliseconds by which the other side must send its next message.
    private(set) var deadline = Int64.max

    /// How long a newer process may take from hello to able: it opens the log meanwhile, and this one continues to
    /// serve.
    private static let openingMilliseconds: Int64 = 60_000
    /// How long it may take to send its hello.
    private static let helloMilliseconds: Int64 = 10_000
    /// How long a successor that has not taken over may take to end.
    private static let endingMilliseconds: Int64 = 2000
    /// Monotonic milliseconds when it is ended.
    private var childEndsAt = Int64.max
    /// Monotonic milliseconds of the next check of the socket, and of a successor that has not taken over.
    private var looksAt: Int64 = 0
    private var reapsAt: Int64 = 0

    init(epoll: Epoll, logger: Logger) {
        self.epoll = epoll
        self.logger = logger
    }

    /// The name of the socket in the bus directory: one for each address at which a process listens.
    static func name(_ listen: String) -> String {
        "take-over-" + String(FNV1a<UInt64>.of(listen), radix: 16)
    }

    /// The bus directory exists, perhaps in place of an old one.
    func open(_ settings: BusSettings, listen: String?) {
        guard let listen else { return }
        isOpen = true
        if let door { epoll.remove(door.descriptor) }
        door = nil
        do {
            let made = try MessageDoor(in: settings.directory, named: Self.name(listen))
            try epoll.add(made.descriptor, [.read])
            door = made
            trouble.end()
        } catch {
            let sentence = "no other process can take over from this one: \(error)"
            if trouble.isNew(sentence) { logger.warning("\(sentence)") }
        }
    }

    /// Creates the socket again if it was removed or could not be created; checks every two seconds, so that a process
    /// that asks finds it before it gives up.
    func lookAfter(_ settings: BusSettings, listen: String?, now: Int64) {
        guard isOpen, now >= looksAt else { return }
        looksAt = now + 2000
        if door?.isInPlace != true { open(settings, listen: listen) }
    }

    var doorDescriptor: Int32 { door?.descriptor ?? -1 }
    var channelDescriptor: Int32 { channel?.descriptor ?? -1 }
    var isTalking: Bool { channel != nil }

    // MARK: Beginning

    /// Accepts the processes that have connected. One of another user is refused, and so is a second one.
    ///
    /// - Parameter refusal: why no process can take over now; nil if one can.
    func welcomeAll(user: UInt32, now: Int64, refusal: (MessageChannel) -> String?) {
        while let door, let newcomer = door.accept() {
            guard newcomer.user == user else {
                logger.warning(
                    "a process of user \(newcomer.user) asked to take over; only a process of this one's user may"
                )
                _ = newcomer.send(
                    HandOverMessage.refused("only a process of the same user may take over").bytes
                )
                continue
            }
            if let why = refusal(newcomer) {
                _ = newcomer.send(HandOverMessage.refused(why).bytes)
                continue
            }
            begin(newcomer, now: now)
        }
    }

    /// Starts a successor, which inherits a descriptor for the communication.
    func start(_ successor: Successor, now: Int64) throws(SystemError) {
        let (ours, theirs) = try MessageChannel.pair()
        let theirEnd = OwnedDescriptor(theirs)
        let ourEnd = OwnedDescriptor(ours)
        let number: Int32 = 3
        let started = try ChildProcess(
            successor.program,
            successor.arguments,
            environment: successor.environment + ["\(Successor.variable)=\(number)"],
            descriptors: [(theirEnd.number, number)]
        )
        child = started
        guard let channel = MessageChannel(ourEnd.handOver(), child: started.number) else { return }
        begin(channel, now: now)
    }

    private func begin(_ newcomer: MessageChannel, now: Int64) {
        do {
            try epoll.add(newcomer.descriptor, [.read])
            (channel, isGreeted) = (newcomer, false)
            deadline = now + Self.helloMilliseconds
        } catch {
            logger.error("\(error)")
        }
    }

    // MARK: Communication

    /// The other process has sent its hello, and opens the log now.
    func greet(_ message: HandOverMessage, now: Int64) {
        isGreeted = true
        say(message, until: now + Self.openingMilliseconds)
    }

    @discardableResult
    func say(_ message: HandOverMessage, until deadline: Int64) -> MessageChannel.Sent {
        self.deadline = deadline
        return channel?.send(message.bytes) ?? .gone
    }

    /// The next message; nil if there is none.
    func next() -> Result<HandOverMessage, HandOverEnd>? {
        guard let channel else { return nil }
        switch channel.receive() {
        case .nothing: return nil
        case .ended: return .failure(.left)
        case .message(let bytes, let descriptors):
            // This side gets no descriptors.
            for descriptor in descriptors { _ = OwnedDescriptor(descriptor) }
            do throws(UnpackError) {
                return .success(try HandOverMessage(bytes))
            } catch {
                return .failure(.notUnderstood)
            }
        }
    }

    /// Ends the communication.
    func hangUp() {
        if let channel { epoll.remove(channel.descriptor) }
        channel = nil
        deadline = .max
        if child != nil { childEndsAt = MonotonicClock.milliseconds() + Self.endingMilliseconds }
    }

    /// Collects the exit status of a successor that has not taken over.
    func reap(now: Int64) {
        guard let running = child, now >= reapsAt else { return }
        reapsAt = now + 100
        guard let ended = running.endIfEnded() else {
            if MonotonicClock.milliseconds() >= childEndsAt {
                childEndsAt = .max
                running.kill()
            }
            return
        }
        child = nil
        switch ended {
        case .exited(let status):
            logger.notice("the new program has ended", metadata: ["status": "\(status)"])
        case .killed(let signal):
            logger.notice("the new program was killed", metadata: ["signal": "\(signal)"])
        }
    }

    /// The successor begins once this process has ended, however long that takes.
    func leaveChild() { child = nil }

    /// Whether a successor may be started: the last one has ended.
    var mayStart: Bool { child == nil && channel == nil }

    /// Whether this process has started the one that it communicates with.
    var isChild: Bool { child != nil && child?.number == channel?.process }

    /// Monotonic milliseconds of the next check.
    var alarm: Int64 {
        if isTalking { return deadline }
        return min(isOpen ? looksAt : .max, child == nil ? .max : reapsAt)
    }

    /// The process stops: no process can take over any more.
    func close() {
        if let door {
            epoll.remove(door.descriptor)
            door.removePath()
        }
        door = nil
        isOpen = false
    }

    /// Another process has everything, perhaps also the path of the socket.
    func letGo() {
        door = nil
        child = nil
    }
}

/// Why the communication with a newer process has ended.
enum HandOverEnd: Error {
    case left, notUnderstood

    var sentence: String {
        switch self {
        case .left: "it has ended"
        case .notUnderstood: "it sent something that this release does not understand"
        }
    }
}
