internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import Glibc

/// What only one process of a bus serves: its socket and its pipes. Both come with the lock, and go with it.
///
/// Where a function says that this process serves no more, the log's answers to lines of pipes concern another one.
/// Reactor thread only.
final class BusService {
    private let tenure: Tenure
    private let pipes: PipeService

    init(_ tenure: Tenure, _ pipes: PipeService) { (self.tenure, self.pipes) = (tenure, pipes) }

    var isServing: Bool { tenure.isServing }

    /// Whether this process has the lock, and the file is still the one that others wait for.
    var isLocked: Bool { tenure.isLocked }

    // MARK: The lock

    /// Waits for the lock: the log is open, perhaps in another directory.
    ///
    /// - Returns: true if this process serves no more.
    func ask(now: Int64) -> Bool { stops(tenure.ask(now: now), now: now) }

    /// The lock's thread has an answer, after which this process may serve.
    func answered(_ attempt: Int, _ outcome: Tenure.Outcome, isWanted: Bool, now: Int64) {
        if tenure.answered(attempt, outcome, isWanted: isWanted, now: now) { start(now: now) }
    }

    /// Takes the lock if it is free, for the pipes alone: the process is about to stop.
    func takeIfFree(now: Int64) -> Bool {
        guard tenure.takeIfFree() else { return false }
        start(now: now)
        return true
    }

    /// Passes socket, pipes and lock on to the process that waits for them.
    func end(now: Int64) {
        tenure.end()
        pipes.stop(now: now)
    }

    /// The same, also while waiting for the lock.
    func giveUp(now: Int64) {
        end(now: now)
        tenure.giveUp()
    }

    private func start(now: Int64) { pipes.start(note: tenure.note, now: now) }

    private func stops(_ hasEnded: Bool, now: Int64) -> Bool {
        if hasEnded { pipes.stop(now: now) }
        return hasEnded
    }

    // MARK: The socket and the places

    /// The descriptor of the bus socket; -1 without one.
    var descriptor: Int32 { tenure.descriptor }

    /// Closes the socket until the next look. Clients in its backlog are told to come back.
    func closeSocket() { tenure.closeSocket() }

    /// The process stops: closes the socket, and looks no more.
    func stopLooking() {
        tenure.closeSocket()
        tenure.stopLooking()
    }

    /// Monotonic milliseconds of the next look.
    var lookAlarm: Int64 { tenure.alarm }

    /// Looks whether socket and pipes are in their places.
    ///
    /// - Returns: true if this process serves no more.
    func look(_ limits: LimitSettings, isLogOpen: Bool, now: Int64) -> Bool {
        pipes.findReplaced(limits, now: now) { tenure.note = $0 }
        return stops(tenure.turn(isLogOpen: isLogOpen, now: now), now: now)
    }

    // MARK: Pipes

    typealias Pipe = PipeService.Place

    var hasPipes: Bool { !pipes.isEmpty }
    /// Lines of pipes that were committed, and that were refused.
    var lines: UInt64 { pipes.lines }
    var refusals: UInt64 { pipes.refusals }

    func apply(_ limits: LimitSettings) { pipes.apply(limits) }

    /// Whether the descriptor belongs to a pipe, which then has new input.
    func isReady(_ descriptor: Int32, now: Int64) -> Bool { pipes.isReady(descriptor, now: now) }

    /// Monotonic milliseconds when pipes are due.
    var pipeAlarm: Int64 { pipes.alarm }

    func duePipes(now: Int64) -> [Pipe] { pipes.due(now: now) }

    /// The next lines of a pipe for the log; `appended` follows. Nil if there is nothing to publish now.
    func next(_ pipe: Pipe, now: Int64) -> Publication? {
        pipes.next(pipe, now: now) { tenure.note = $0 }
    }

    func postpone(_ pipe: Pipe, until time: Int64) { pipes.postpone(pipe, until: time) }

    func appended(_ pipe: Pipe, _ outcome: AppendOutcome, isStopping: Bool, now: Int64) {
        pipes.appended(pipe, outcome, isStopping: isStopping, now: now)
    }

    /// Notes that are due, and pipes that were replaced.
    func turnPipes(_ limits: LimitSettings, now: Int64) {
        pipes.turn(limits, now: now) { tenure.note = $0 }
    }

    /// The process stops, and publishes the content of the pipes first.
    func readAll(now: Int64) { pipes.readAll(now: now) }

    /// Whether this process has published all it can, and whether lines are in the pipes.
    var areDry: Bool { pipes.areDry }
    var haveLines: Bool { pipes.haveLines }

    func closePipes() { pipes.close() }

    // MARK: Handing over

    /// What goes over to another process: as `Tenure.handed`, and a socket that is not in use.
    var handed: (listener: Listener?, lock: Int32)? { tenure.handed }
    var resting: Listener? { tenure.resting }

    /// Watches no socket for now.
    func rest() { tenure.rest() }
    func goOn() { tenure.goOn() }

    /// Takes over from another process; where this one serves no bus, nobody does until another gets the lock.
    func adopt(lock: Int32, _ socket: Listener?, now: Int64) {
        guard tenure.mayServe else {
            socket?.removePath()
            close(lock)
            return
        }
        tenure.adopt(lock: lock, socket, now: now)
        start(now: now)
    }

    /// Takes over a passed socket that is not in use.
    func adopt(passed socket: Listener) { tenure.adopt(passed: socket) }

    /// Another process has everything.
    func letGo() {
        tenure.letGo()
        pipes.letGo()
    }
}
