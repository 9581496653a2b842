internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import Logging
internal import Reactor

/// The named pipes of the bus. Every process keeps them open, so that their content survives; the process that serves the
/// bus publishes their lines.
///
/// Lines are read, appended to the log, and removed from the pipe when the log has answered, one portion after the other.
/// What the log cannot take remains in the pipe, whose writers wait when it is full: nothing is lost. Reactor thread only.
final class PipeService {
    /// The index of a pipe.
    typealias Place = Int

    private var pipes: [PipeReader]
    private var isServing = false
    private let epoll: Epoll
    private let logger: Logger
    /// Lines that were committed.
    private(set) var lines: UInt64 = 0

    init(_ settings: [PipeSettings], _ limits: LimitSettings, epoll: Epoll, logger: Logger)
        throws(ServingProblem)
    {
        var pipes: [PipeReader] = []
        for pipe in settings { pipes.append(try PipeReader(pipe, limits)) }
        self.pipes = pipes
        self.epoll = epoll
        self.logger = logger
    }

    var isEmpty: Bool { pipes.isEmpty }

    /// Lines that were refused.
    var refusals: UInt64 { pipes.reduce(0) { $0 + $1.refusedCount } }

    /// Applies changed bounds; the pipes' own sizes remain.
    func apply(_ limits: LimitSettings) {
        for place in pipes.indices { pipes[place].apply(limits) }
    }

    // MARK: Serving

    /// Begins to publish: this process serves the bus now.
    ///
    /// - Parameter note: the note of the process that served it before.
    func start(note: String, now: Int64) {
        isServing = true
        for place in pipes.indices {
            pipes[place].begin(note: note, now: now)
            if pipes[place].isSkipping {
                logger.warning(
                    "\(pipes[place].settings.path): the rest of a line that is too long is skipped"
                )
            }
            watch(place)
        }
    }

    /// Another process may read them from now on: lines that are being appended remain in the pipe, and may be published
    /// twice.
    func stop(now: Int64) {
        guard isServing else { return }
        isServing = false
        for place in pipes.indices {
            tellRefusals(place, now: now, isLast: true)
            epoll.remove(pipes[place].descriptor)
            pipes[place].end()
        }
    }

    private func watch(_ place: Place) {
        do {
            // Edge-triggered: a line without its end must not keep the loop running.
            try epoll.add(pipes[place].descriptor, [.read, .edge])
        } catch {
            logger.error("\(error)")
        }
    }

    /// The note for the next process that serves the bus.
    private var note: String { pipes.map(\.note).joined() }

    // MARK: Reading

    /// Whether the descriptor belongs to a pipe, which then has new input.
    func isReady(_ descriptor: Int32, now: Int64) -> Bool {
        guard isServing, let place = pipes.firstIndex(where: { $0.descriptor == descriptor }) else {
            return false
        }
        pipes[place].isReady(now: now)
        return true
    }

    /// Makes all due: the process stops, and publishes their content first.
    func readAll(now: Int64) {
        for place in pipes.indices { pipes[place].readNow(now: now) }
    }

    /// Monotonic milliseconds when `due` and `turn` must be called; `.max` for never.
    var alarm: Int64 {
        guard isServing else { return .max }
        return pipes.reduce(.max) { min($0, $1.alarm) }
    }

    /// Pipes to be read now.
    func due(now: Int64) -> [Place] {
        isServing ? pipes.indices.filter { pipes[$0].isDue(now: now) } : []
    }

    /// The next lines of a pipe for the log; `appended` must follow with the outcome.
    ///
    /// - Parameter leave: writes the note for the next process that serves the bus.
    /// - Returns: nil if there is nothing to publish now.
    func next(_ place: Place, now: Int64, leave: (String) -> Void) -> Publication? {
        guard isServing else { return nil }
        let wasSkipping = pipes[place].isSkipping
        let publication = pipes[place].next(now: now)
        if wasSkipping != pipes[place].isSkipping { leave(note) }
        pipes[place].takeDone()
        tellRefusals(place, now: now)
        return publication
    }

    /// Postpones reading: before this time the lines cannot be read, or are not accepted.
    func postpone(_ place: Place, until time: Int64) { pipes[place].postpone(until: time) }

    /// The log's answer to what `next` returned last.
    func appended(_ place: Place, _ outcome: AppendOutcome, isStopping: Bool, now: Int64) {
        guard let settled = pipes[place].settle(outcome, isStopping: isStopping, now: now) else {
            return
        }
        lines += UInt64(settled.committed)
        tellRefusals(place, now: now)
        if settled.beginsToWait {
            logger.warning(
                "lines wait in the pipe \(pipes[place].settings.path): the log is \(outcome == .full ? "full" : "not available")"
            )
        }
    }

    /// Notes that are due, and pipes that were replaced.
    func turn(_ limits: LimitSettings, now: Int64, leave: (String) -> Void) {
        for place in pipes.indices {
            if pipes[place].isReplaced { exchange(place, limits, now: now, leave: leave) }
            tellRefusals(place, now: now)
        }
    }

    // MARK: Pipes that were replaced

    /// Finds pipes whose path leads to another pipe now. Also in processes that do not serve the bus, for which a pipe is
    /// empty once the one that does has published its lines.
    func findReplaced(_ limits: LimitSettings, now: Int64, leave: (String) -> Void) {
        for place in pipes.indices {
            if pipes[place].findReplaced(), pipes[place].left.lines > 0 {
                logger.warning(
                    "the pipe \(pipes[place].settings.path) was replaced; the lines in it are published first"
                )
            }
            if pipes[place].isReplaced { exchange(place, limits, now: now, leave: leave) }
        }
    }

    /// Uses the new pipe once the old one is empty; this process publishes its lines, or the one that serves the bus.
    private func exchange(
        _ place: Place,
        _ limits: LimitSettings,
        now: Int64,
        leave: (String) -> Void
    ) {
        guard pipes[place].mayBeExchanged else { return }
        let path = pipes[place].settings.path
        do throws(ServingProblem) {
            let new = try PipeReader(pipes[place].settings, limits)
            logger.warning("the pipe \(path) was replaced; using the new one")
            if isServing {
                tellOfLoss(place, pipes[place].left)
                epoll.remove(pipes[place].descriptor)
            }
            let wasSkipping = pipes[place].isSkipping
            pipes[place].exchange(for: new, now: now)
            if isServing {
                if wasSkipping { leave(note) }
                watch(place)
            }
        } catch {
            // The next look at the pipes tries again.
            let sentence = error.description
            if pipes[place].cannotExchange(sentence) { logger.error("\(sentence)") }
        }
    }

    // MARK: Ending

    /// Whether this process has published all it can.
    var areDry: Bool { pipes.allSatisfy(\.isDry) }

    /// Another process, which has the pipes open, serves the bus now.
    func letGo() { isServing = false }

    var haveLines: Bool { pipes.contains { $0.left.lines > 0 } }

    /// Closes all. A pipe's content survives if another process has it open; otherwise its loss is logged.
    func close() {
        for place in pipes.indices {
            let (left, isInPlace) = (pipes[place].left, pipes[place].isInPlace)
            pipes[place].close()
            // If this pipe was replaced, other processes read another one at its path.
            guard !isInPlace || !NamedPipe.isRead(pipes[place].settings.path) else { continue }
            tellOfLoss(place, left)
        }
    }

    // MARK: Notes

    private func tellOfLoss(_ place: Place, _ left: (bytes: Int, lines: Int)) {
        guard left.bytes > 0 else { return }
        let metadata: Logger.Metadata = [
            "pipe": "\(pipes[place].settings.path)", "lines": "\(left.lines)",
            "bytes": "\(left.bytes)",
        ]
        if left.lines > 0 {
            logger.error(
                "lines in a pipe are lost: they could not be published before the process had to end",
                metadata: metadata
            )
        } else {
            logger.warning(
                "the beginning of a line in a pipe is lost: the rest had not arrived when the pipe was closed",
                metadata: metadata
            )
        }
    }

    /// Logs which line was refused, and how many since the last note.
    private func tellRefusals(_ place: Place, now: Int64, isLast: Bool = false) {
        for refused in pipes[place].takeNotes(now: now, isLast: isLast) {
            var metadata: Logger.Metadata = [
                "pipe": "\(pipes[place].settings.path)", "line": "\(refused.beginning)",
            ]
            if refused.count > 1 { metadata["refused"] = "\(refused.count)" }
            logger.warning(
                "a line of a pipe is not published: \(refused.sentence)",
                metadata: metadata
            )
        }
    }
}
