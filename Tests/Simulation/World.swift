import Channels
import Configuration
import Core
import Endpoint
import FastCGI
import Liveness

/// Some processes, the log they share, front ends and clients; everything that happens comes from one seed.
///
/// A client's state is never taken from the core: independent parsers read what the cores send, and it is compared with
/// the ledger of what was committed.
final class World {
    var chance: Chance
    var digest = Digest()
    let plan: Plan
    var log: SharedLog
    var processes: [SimulatedProcess] = []
    var clients: [Client] = []
    var calls: [Call] = []
    /// Calls that no front end has given to a process yet.
    var waiting: [Int] = []
    /// Monotonic milliseconds, and nanoseconds of the same clock, which every event advances.
    var now: Int64 = 1_000_000
    private var nanoseconds: Int64 = 0
    var steps = 0
    var isEnding = false
    private(set) var violation: Violation?
    /// Nil unless it is to be read.
    var trace: Trace?
    /// Held requests that ended in the current event.
    var ended: [(call: Int, endings: Endings)] = []
    /// Those for which that cannot be told from outside.
    var maybeEnded = 0
    /// One of them may be the request of a subscriber that leaves.
    var mayHaveLeft = false
    /// The batch that is being delivered.
    var batch: CommittedBatch?
    /// What happens in the current event.
    private(set) var cause = Cause.other
    /// Those of them whose connections were lost while the actions were carried out.
    var lostMeanwhile: [Int] = []
    /// The request that is being given, and how many requests waited for the log before it.
    var newcomer: (call: Int, waiting: Int)?
    /// Counts the requests that processes got, and the newest of each subscriber.
    var comings = 0
    var newestComings: [Int: Int] = [:]
    /// Those of whom a request has queued, which comes anew when its turn has come.
    var queuedSubscribers: Set<Int> = []
    var lastText = 0
    /// Where in its spread each poll has ended that waited in vain, in thousandths.
    var ends: [Int64] = []
    /// Clients that do nothing, so that a failing run can be reduced.
    let muted: Set<Int>
    var tally = Tally()
    /// Only to make the publications of pipes.
    let interface: HTTPInterface

    struct Violation {
        let step: Int
        let text: String
        let call: Int?
    }

    /// How often interesting events have occurred: a run without them proves nothing.
    struct Tally {
        var calls = 0
        var held = 0
        var endings = [UInt64](repeating: 0, count: Ending.allCases.count)
        var kills = 0
        var logChanges = 0
        var handOvers = 0
        /// What else occurs seldom.
        var others: [String: Int] = [:]
    }

    /// A line for each event, of the last few thousand.
    struct Trace {
        private(set) var lines: [(step: Int, call: Int?, text: String)] = []

        mutating func add(_ step: Int, _ call: Int?, _ text: String) {
            lines.append((step, call, text))
            if lines.count > 20_000 { lines.removeFirst(10_000) }
        }
    }

    init(seed: UInt64, muted: Set<Int> = []) {
        chance = Chance(seed: seed)
        self.muted = muted
        plan = Plan(&chance)
        interface = HTTPInterface(settings: plan.settings)
        log = SharedLog(names: plan.names, keeps: plan.keeps, chance: &chance)
        for index in 0..<plan.processCount { processes.append(start(index)) }
        for number in 0..<plan.clientCount { clients.append(Client(number, plan, &chance)) }
    }

    func fail(_ text: @autoclosure () -> String, call: Int? = nil) {
        guard violation == nil else { return }
        violation = Violation(step: steps, text: text(), call: call)
        trace?.add(steps, call, "VIOLATION: " + text())
    }

    func note(_ text: @autoclosure () -> String, call: Int? = nil) {
        guard trace != nil else { return }
        trace?.add(steps, call, text())
    }

    /// Notes that something has occurred that many runs do not have.
    func count(_ event: String) { tally.others[event, default: 0] += 1 }

    var memberNames: [String] { Plan.memberNames }

    // MARK: Processes

    /// The memory that a request takes while it queues.
    static let requestSize = 400

    func start(_ index: Int) -> SimulatedProcess {
        let process = SimulatedProcess(
            index: index,
            plan,
            seed: chance.next(),
            now: now
        )
        process.end.open(log)
        return process
    }

    func moment(_ process: SimulatedProcess) -> Moment {
        let passed = plan.isClockCoarse ? Int64(chance.below(8) / 7) : 1 + Int64(chance.below(1000))
        nanoseconds = max(nanoseconds + passed, now * 1_000_000)
        let turn = process.turn ?? now
        process.turn = turn
        return Moment(
            milliseconds: turn,
            nanoseconds: nanoseconds,
            retentionMilliseconds: log.retention,
            committedHead: process.end.committedHead(log)
        )
    }

    /// Gives the core an event, carries out its actions, and checks the result.
    ///
    /// - Parameters:
    ///   - ending: calls that the event itself ends, without an answer.
    ///   - silently: ends those that the core has ended without an answer.
    func tell(
        _ process: SimulatedProcess,
        _ cause: Cause,
        ending: [Int] = [],
        about call: Int? = nil,
        silently: () -> Void = {},
        _ body: (inout Core, Moment) -> Void
    ) {
        guard violation == nil else { return }
        let moment = moment(process)
        digest.add(UInt8(truncatingIfNeeded: process.index))
        digest.add(cause.name)
        digest.add(Int(moment.milliseconds))
        note("process \(process.index): \(cause.name) at \(moment.milliseconds)", call: call)
        self.cause = cause
        let before = Counts(process.core.counters)
        ended.removeAll(keepingCapacity: true)
        lostMeanwhile.removeAll(keepingCapacity: true)
        process.account = .init()
        for number in ending { end(number, cause.endings) }
        body(&process.core, moment)
        drain(process)
        silently()
        noteDepartures(process)
        note(
            "process \(process.index): \(process.core.heldCount) held, \(process.core.waitingCount) wait, next \(process.core.nextAlarm)"
        )
        check(process, cause, before)
        noteAttended(process)
        (maybeEnded, mayHaveLeft) = (0, false)
        settle(process)
    }

    /// One call has ended, whether or not its client got an answer.
    func end(_ number: Int, _ endings: Endings) {
        guard calls[number].state == .given else {
            return fail("call \(number) ends twice", call: number)
        }
        calls[number].state = .ended
        ended.append((number, endings))
        let process = processes[calls[number].process]
        if calls[number].kind == .leave { process.attended = [:] }
        let place = calls[number].wire
        process.wires[place].calls.removeAll { $0 == number }
        for other in process.wires[place].calls
        where calls[other].id == calls[number].id && calls[other].order > calls[number].order {
            calls[other].blockedUntil = process.turn ?? now
        }
        note("call \(number) has ended", call: number)
    }

    // MARK: Connections

    /// The core has given the connection up.
    func dropped(_ place: Int, _ process: SimulatedProcess) {
        let wire = process.wires[place]
        // A core that finds a peer gone while the log is asked for it drops the connection.
        if !wire.isRude, case .web = wire.kind, wire.loss == nil, wire.peerClosed == .no {
            fail("process \(process.index) drops a connection that did nothing wrong")
        }
        if case .request = cause, let newcomer, calls[newcomer.call].arrival == .whole,
            wire.loss == nil, wire.peerClosed == .no
        {
            process.account.bounds[Bound.queuedRequests.rawValue] += 1
        }
        for number in wire.calls where calls[number].state == .given {
            end(number, [.gone, .slow])
        }
        forget(place, process)
    }

    /// Its peer finds it closed.
    private func forget(_ place: Int, _ process: SimulatedProcess) {
        for client in clients.indices {
            if let call = clients[client].call, calls[call].process == process.index,
                calls[call].wire == place, calls[call].state != .waiting
            {
                clients[client].finish(now, &chance)
            }
            if clients[client].bus?.process == process.index, clients[client].bus?.place == place {
                clients[client].bus = nil
                clients[client].finish(now, &chance)
            }
        }
        process.free(place)
    }

    /// After an event: what peers did not take, and which are found gone or done.
    func settle(_ process: SimulatedProcess) {
        while let place = process.touched.popLast() {
            guard violation == nil, process.isAlive else { return }
            let wire = process.wires[place]
            guard wire.isOpen else { continue }
            if let loss = wire.loss {
                lose(place, loss, process)
                continue
            }
            if wire.unsentBytes != wire.unsentTold {
                process.wires[place].unsentTold = wire.unsentBytes
                // Checked again, now that this is reported.
                process.touched.append(place)
                tell(process, .unsent) { core, _ in core.unsent(wire.id, bytes: wire.unsentBytes) }
                continue
            }
            if wire.isToBeSettled, wire.unsent.isEmpty { look(place, process) }
        }
    }

    /// As the shell does before it takes the next portion of actions: which peers are gone.
    func report(_ process: SimulatedProcess) {
        for place in process.touched {
            let wire = process.wires[place]
            guard wire.isOpen, let loss = wire.loss else { continue }
            for number in wire.calls where calls[number].state == .given {
                lostMeanwhile.append(number)
                end(number, Cause.lost(loss).endings)
            }
            forget(place, process)
            note("process \(process.index): connection \(place) is lost meanwhile (\(loss))")
            process.core.connectionLost(wire.id, loss, at: moment(process))
        }
    }

    /// The shell gives the connection up.
    func lose(_ place: Int, _ loss: Loss, _ process: SimulatedProcess) {
        let wire = process.wires[place]
        var ending: [Int] = []
        for number in wire.calls where calls[number].state == .given { ending.append(number) }
        forget(place, process)
        note("process \(process.index): connection \(place) is lost (\(loss))")
        tell(process, .lost(loss), ending: ending) { core, moment in
            core.connectionLost(wire.id, loss, at: moment)
        }
    }

    /// Whether the connection is in use.
    private func look(_ place: Int, _ process: SimulatedProcess) {
        process.wires[place].isToBeSettled = false
        let wire = process.wires[place]
        let standing = process.core.standing(of: wire.id)
        let hasOpen = wire.calls.contains { calls[$0].state == .given && !mayBeForgotten($0, wire) }
        switch standing {
        case .busy: return
        case .kept, .done:
            if hasOpen, !wire.isForgetful, case .web = wire.kind {
                return fail(
                    "nothing goes on on connection \(place), says process \(process.index), with \(wire.calls) open",
                    call: wire.calls.first
                )
            }
        }
        if case .done = standing { return lose(place, .closed, process) }
        if wire.isOver { fail("connection \(place) is kept after its last word") }
        if case .web = wire.kind, wire.isForOne, wire.requests > 0 {
            fail("connection \(place) is kept against its front end's will")
        }
    }

    /// Nothing waits behind the connection, so its polls need no answer.
    private func mayBeForgotten(_ number: Int, _ wire: Wire) -> Bool {
        wire.isEndTold && calls[number].mayBeHeld
    }
}
