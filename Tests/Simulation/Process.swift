import Channels
import Configuration
import Core
import Endpoint
import FastCGI
import Liveness

/// A connection as the shell of a process has it, and its peer.
struct Wire {
    enum Kind: Equatable {
        case web(frontEnd: Int)
        /// A client of the bus socket.
        case bus(client: Int)
    }

    enum Closed { case no, sending, whole }

    let id: ConnectionID
    let kind: Kind
    var isOpen = true
    /// The shell has given it up in this drain.
    var loss: Loss?
    /// Calls that the core has, or will get.
    var calls: [Int] = []
    var requests = 0
    /// The newest request of each id, by its rank among all.
    var newestComings: [UInt16: Int] = [:]
    var multiplexes = false
    /// The front end closes it after one request.
    var isForOne = false
    /// A request of it had the wrong id or came in the wrong order: the core may drop the connection.
    var isRude = false

    // The peer
    var peerClosed = Closed.no
    var isEndTold = false
    /// Polls may be forgotten from now on without an answer.
    var isForgetful = false
    /// It takes what is sent.
    var reads = true
    /// The bytes that its system takes while it does not read.
    var room = 0
    var unsent: [Chunk] = []
    var unsentBytes = 0
    var unsentTold = 0
    var unreadSince: Int64 = 0
    /// Chunks for a client that was gone.
    var vain = 0
    /// See `standing` when everything is sent.
    var isToBeSettled = false

    // The bus socket
    var input: [UInt8] = []
    var isPaused = false
    var outputs = LineReader()
    /// The answers expected to the commands, in their order.
    var expected: [Expected] = []
    var subscription: Int?
    /// Its subscription has ended, or it was told that a command of it cannot be carried out.
    var isOver = false

    struct Chunk {
        let call: Int
        let bytes: Int
        let ends: Bool
        /// The position of the call's client after it.
        let cursor: Cursor?
    }

    /// The answer to a command on the bus socket.
    struct Expected {
        enum Kind { case published, simple(String), subscribed, listing, message }
        let kind: Kind
        var call: Int
    }
}

/// One process: a core, a shell that carries out its actions, and its end of the log.
final class SimulatedProcess {
    let index: Int
    var core: Core
    var actions = Actions()
    var end: LogEnd
    var settings: Settings
    var wires: [Wire] = []
    var freeWires: [Int] = []
    private var generations: [UInt32] = []
    var isAlive = true
    var isStopping = false
    /// It is paused.
    var isHandingOver = false
    /// The last request that came under other settings.
    var settledAt = 0
    /// Monotonic milliseconds when these settings came into force.
    var settledTime: Int64 = .min
    var presenceSettledAt = 0
    /// Its ini file closes the channel that is open otherwise.
    var isClosed = false
    var stopsAt: Int64 = .max
    /// Stopped, for example by a debugger: it does nothing until then.
    var frozenUntil: Int64 = .min
    /// It was stopped, and has not caught up with the clock.
    var isLate = false
    /// Monotonic milliseconds of the turn that has begun; nil between two.
    var turn: Int64?
    /// Turns in a row that the core has asked for without a pause.
    var turnsAtOnce = 0
    /// Messages of other processes that it has not received.
    var words: [Word] = []
    /// The publications that wait for the log.
    var queue: [(ticket: UInt64, messages: Int, bytes: Int)] = []
    var readsUnderWay = 0
    /// The questions of which the answers have no messages.
    var lookAheads: Set<UInt64> = []
    /// All questions that it has ever asked.
    var readsAsked = 0
    /// Since when the log has been asked nothing.
    var quietSince: Int64 = 0
    /// Held requests that this core has taken over, and so has not counted.
    var carried = 0
    /// The lines of a pipe that wait for the log.
    var pipe: [String]?
    var surveys: [(ticket: Ticket, question: SurveyQuestion)] = []
    /// Counted by the connections that the shell has to check after a drain.
    var touched: [Int] = []
    var given = 0
    /// What it has heard of its log: whether that is open, and what is wrong with the engine.
    var knowsLog = false
    var engineTrouble: EngineTrouble?
    /// What was held after the event before, and the greatest bound on it that there was.
    var heldBefore = 0
    var limitBefore = 0
    /// The longest intervals that there were.
    var probeSeconds = 0
    var heartbeatSeconds = 0
    /// The requests whose beginning was traced, and their end was not, by name; and whether they were held.
    var traced: [String: Bool] = [:]
    /// What the operator is told at most once, or once in a while.
    var addressNotices = 0
    var publisherNotedAt: Int64 = .min / 2
    /// When it last gave the log an event of presence.
    var presenceToldAt: Int64 = .min / 2
    /// When a held request last ended of each member that has not left otherwise.
    var attended: [Attendee: Int64] = [:]
    var hasLeftOut = false
    /// The core was told of other processes.
    var hasSiblings = false
    /// Publishers on the bus socket that were told of an unknown outcome.
    var unknownOutcomes: UInt64 = 0
    /// All messages about subscribers that it has sent to them.
    var wordsTold = 0
    /// The variables that the last requests had in common with others, and what was read of them.
    var memory: [(common: [String], request: CGIRequest)] = []
    /// The record of the current event.
    var account = Account()

    /// What a core has done in one event, to be compared with its counts.
    struct Account {
        var sends = 0
        /// As `Errand.delivered` reports.
        var deliveries = 0
        /// Answers by the class of their status, as `CoreCounters.answers`.
        var answers = [UInt64](repeating: 0, count: 6)
        /// Peers that were told of a bound, by its place.
        var bounds = [UInt64](repeating: 0, count: Bound.allCases.count)
    }

    enum Word {
        case word(SubscriberWord)
        case members([PresentMember])
    }

    let peers = Peers()
    private let plan: Plan

    init(index: Int, _ plan: Plan, seed: UInt64, now: Int64) {
        self.index = index
        self.plan = plan
        settings = plan.settings
        end = LogEnd(memoryMessages: plan.settings.bus.memoryMessages)
        core = Self.core(settings, plan, seed, now)
        begin(with: settings)
    }

    private static func core(
        _ settings: Settings,
        _ plan: Plan,
        _ seed: UInt64,
        _ now: Int64
    ) -> Core {
        Core(
            settings: settings,
            numbers: [:],
            connectionLimit: plan.connectionLimit,
            bytesAtOnce: plan.bytesAtOnce,
            seed: seed | 1,
            now: now
        )
    }

    /// Departures of peers that the system knows of and no event has reported yet.
    final class Peers {
        var closed: [(generation: UInt32, Wire.Closed)] = []

        func hasLeft(_ connection: ConnectionID, _ departure: Departure) -> Bool {
            guard Int(connection.index) < closed.count,
                closed[Int(connection.index)].generation == connection.generation
            else { return false }
            switch (closed[Int(connection.index)].1, departure) {
            case (.no, _), (.sending, .whole): return false
            case (.sending, .sending), (.whole, _): return true
            }
        }
    }

    /// A newer process in this place: its core knows nothing yet, and its log is not open.
    func beginAnew(seed: UInt64, now: Int64) {
        core = Self.core(settings, plan, seed, now)
        end = LogEnd(memoryMessages: end.memoryMessages)
        (queue, readsUnderWay, surveys, pipe, carried) = ([], 0, [], nil, 0)
        unknownOutcomes = 0
        quietSince = now
        lookAheads = []
        turn = nil
        turnsAtOnce = 0
        hasSiblings = false
        (knowsLog, engineTrouble) = (false, nil)
        (addressNotices, publisherNotedAt, presenceToldAt) = (0, .min / 2, .min / 2)
    }

    /// Another process reads the pipes from now on.
    func forgetPipes() {
        guard isAlive else { return }
        core.forgetPipes()
        pipe = nil
    }

    /// These settings hold from now on.
    func begin(with new: Settings) {
        if settings.log.level != new.log.level { traced = [:] }
        if settings.presence != new.presence { attended = [:] }
        settings = new
        probeSeconds = max(probeSeconds, new.hold.probeSeconds)
        heartbeatSeconds = max(heartbeatSeconds, new.hold.heartbeatSeconds)
    }

    func connect(_ kind: Wire.Kind) -> Int {
        let place: Int
        if let free = freeWires.popLast() {
            place = free
            generations[place] += 1
        } else {
            place = wires.count
            generations.append(1)
            peers.closed.append((0, .no))
        }
        let id = ConnectionID(index: Int32(place), generation: generations[place])
        let wire = Wire(id: id, kind: kind)
        if place < wires.count { wires[place] = wire } else { wires.append(wire) }
        peers.closed[place] = (id.generation, .no)
        return place
    }

    func place(of connection: ConnectionID) -> Int? {
        let place = Int(connection.index)
        guard place < wires.count, wires[place].id == connection, wires[place].isOpen else {
            return nil
        }
        return place
    }

    func close(_ place: Int, _ closed: Wire.Closed) {
        wires[place].peerClosed = closed
        peers.closed[place].1 = closed
    }

    /// The place can be used again.
    func free(_ place: Int) {
        wires[place].isOpen = false
        wires[place].calls = []
        wires[place].unsent = []
        freeWires.append(place)
    }

    /// The core asks no more than sixteen questions of a kind at a time.
    var mayQueueReads: Bool { readsUnderWay >= 14 }

    var openWires: Int { wires.count - freeWires.count }
}
