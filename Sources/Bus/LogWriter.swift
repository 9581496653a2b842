import CLinux
import Channels
import DequeModule
import System
import Text

/// The writer of the log; used by one thread at a time, the only one of the process to take the gate.
///
/// A transaction is {gate → check that the files are still the same → BEGIN IMMEDIATE → read what other processes
/// appended → append a group → trim → COMMIT → witness → leave → wake the others}. Then the process is told: first the
/// messages of others, then its own, then the marks that its own trimming raised, then each publisher its outcome. An
/// error rolls the transaction back. A log that was replaced is opened again, and the group is tried there; a log without
/// room is trimmed, and another program that writes is waited for, before the group is tried again (`insist`); any other
/// error closes the log and fails the group, and the log is opened again after a second.
final class LogWriter {
    static let groupMessages = 64
    static let groupMicroseconds: Int64 = 5000
    /// The most messages of other processes to read inside the gate.
    private static let farBehind: Int64 = 512
    /// How long a group of messages waits for another program that holds SQLite's write lock.
    static let busyMilliseconds: Int64 = 2000

    let shared: LogShared
    var open: OpenLog?
    private var queue: Deque<Append> = []
    private var stopping = false
    /// The result of the newest turn for the engine.
    private(set) var lastResult: EngineResult?
    private var conditions: Set<Condition> = []
    private(set) var nextChores: Int64 = 0
    /// See `WriterDatabase.chores`.
    private var walk: Int64? = 0
    // Their state is their own; only the writer calls what changes it.
    var opening = WriterOpening()
    var room: WriterRoom

    /// Conditions that are reported when they begin, and again only after they have ended.
    private enum Condition { case busy, unsaved }

    init(_ shared: LogShared) {
        self.shared = shared
        room = WriterRoom(shared)
    }

    /// What there is to do after a turn.
    struct Rest {
        /// How long nothing is due; 0: there is work left.
        var milliseconds: Int64
        /// A group was answered just now.
        var hasCommitted: Bool
    }

    /// Whether an append that comes now is the next one to be committed.
    var isIdle: Bool { queue.isEmpty && !stopping && !shared.writerBox.isWaiting }

    /// Does what was asked for, at most one group of appends, and what is due. Nil: the writer has ended.
    func turn() -> Rest? {
        reopenIfDue()
        var charges: [Append] = []
        // Taken only here, where no other thread can append: what was posted earlier is committed earlier.
        for command in shared.writerBox.take(waitingMilliseconds: 0) {
            switch command {
            case .append(let append): queue.append(append)
            case .charge(let append): charges.append(append)
            case .engine(let work): run(work)
            case .check: nextChores = 0
            case .readFailed(let error):
                nextChores = 0
                readFailed(error)
            case .retentionChanged: lookAtAllChannels()
            case .stop: stopping = true
            }
        }
        if !charges.isEmpty { charge(charges) }
        let hasCommitted = !queue.isEmpty
        if hasCommitted {
            runGroup(takeGroup())
        } else if stopping {
            end()
            return nil
        }
        if MonotonicClock.milliseconds() >= nextChores { doChores() }
        let hasWork = !queue.isEmpty || stopping
        return Rest(
            milliseconds: hasWork ? 0 : millisecondsToNextChore(),
            hasCommitted: hasCommitted
        )
    }

    /// Lets the chores visit every channel: the log, or the rules of retention, may be others.
    func lookAtAllChannels() { (walk, nextChores) = (0, 0) }

    private func millisecondsToNextChore() -> Int64 {
        min(1000, max(1, (open == nil ? opening.next : nextChores) - MonotonicClock.milliseconds()))
    }

    /// At most 64 messages, but at least one append, however many it has.
    private func takeGroup() -> [Append] {
        var messages = 0
        var length = 0
        while length < queue.count {
            messages += queue[length].drafts.count
            if length > 0, messages > Self.groupMessages { break }
            length += 1
        }
        return queue.take(length)
    }

    // MARK: Turns

    enum Attempt {
        /// This many appends of the group were answered.
        case done(Int)
        case replaced
        case full(LogError)
        /// Another program holds SQLite's write lock.
        case busy
        /// The write-ahead log is as large as it may be.
        case overgrown
        case failed
    }

    /// Answers every append of the group.
    private func runGroup(_ group: [Append]) {
        var rest = group[...]
        let patience = MonotonicClock.milliseconds() + Self.busyMilliseconds
        while !rest.isEmpty {
            let bytes = rest.reduce(0) { $0 + $1.bytes + 256 * $1.drafts.count }
            switch insist(on: Array(rest), bytes: bytes, rounds: 4, until: patience) {
            case .done(let count): rest = rest.dropFirst(count)
            case .full where rest.count > 1:
                // A small message may fit where the whole group does not.
                for append in rest { runGroup([append]) }
                return
            case .full: return answer(rest, .full)
            case .overgrown: return answer(rest, .logBusy)
            case .failed, .replaced, .busy: return answer(rest, .unavailable)
            }
        }
    }

    /// Tries again where that may help: opens a log anew that was replaced, makes room for so many bytes where there is
    /// none, at most so often, and waits until then for another program that writes.
    func insist(
        on appends: [Append],
        engine: EngineWork? = nil,
        bytes: Int,
        rounds most: Int,
        until patience: Int64
    ) -> Attempt {
        var (reopenings, rounds) = (0, 0)
        while true {
            waitForWriteAheadLog()
            let outcome = attempt(appends, chores: false, engine: engine)
            switch outcome {
            case .replaced where reopenings < 3:
                reopenings += 1
                reopenNow()
            case .full(let error):
                shared.count { $0.diskFull += 1 }
                rounds += 1
                if rounds <= most, makeRoom(for: bytes, round: min(rounds, 4)) { continue }
                if appends.count <= 1, open != nil { room.sayFull(error) }
                return outcome
            case .busy where MonotonicClock.milliseconds() < patience: continue
            case .done, .replaced, .busy, .overgrown, .failed: return outcome
            }
        }
    }

    /// See `WriterRoom.make`.
    private func makeRoom(for bytes: Int, round: Int) -> Bool {
        guard let open else { return false }
        do throws(LogError) {
            return try room.make(for: bytes, round: round, open)
        } catch {
            fail(error)
            return false
        }
    }

    private func answer(_ appends: ArraySlice<Append>, _ outcome: AppendOutcome) {
        for append in appends { shared.deliver(.appended(ticket: append.ticket, outcome)) }
    }

    /// Messages that are too old or past their time to live, and whatever else is due; also the check of the paths.
    private func doChores() {
        nextChores = MonotonicClock.milliseconds() + 1000
        switch attempt([], chores: true) {
        case .full(let error):
            shared.count { $0.diskFull += 1 }
            if !makeRoom(for: 0, round: 1), open != nil { room.sayFull(error) }
        case .replaced:
            reopenNow()
        case .done, .failed, .busy, .overgrown: break
        }
        if walk != nil { nextChores = min(nextChores, MonotonicClock.milliseconds() + 20) }
    }

    func attempt(_ appends: [Append], chores: Bool, engine: EngineWork? = nil) -> Attempt {
        guard let open else { return .failed }
        do throws(LogError) {
            try open.enterGate(shared)
            var inside = true
            defer { if inside { open.directory.leave() } }
            guard !chores || open.paths.checkAll().all, var note = open.note() else {
                return try abandon(open)
            }
            if note.head - shared.head > Self.farBehind {
                // A process that was stopped for a while reads what it missed while others continue.
                open.directory.leave()
                inside = false
                try catchUp(open)
                try open.enterGate(shared)
                inside = true
                guard let again = open.note() else { return try abandon(open) }
                note = again
            }
            if chores {
                try open.checkLength()
                room.tendReserve(open)
            }
            guard try room.mayGrow(open) else { return .overgrown }
            shared.beginWriting()
            defer { shared.endWriting() }
            let due = chores ? try open.database.chores(shared.time(), walk: &walk) : nil
            var turn = WriterTurn(shared, open)
            try turn.run(appends, note, chores: due, engine: engine)
            turn.writeWitness(open.page, note)
            wrote()
            let checkpoint = room.isCheckpointDue(open, now: MonotonicClock.milliseconds())
            if !checkpoint {
                open.directory.leave()
                inside = false
            }
            turn.tell(shared, open)
            shared.endWriting()
            if checkpoint {
                // What was committed is committed.
                do throws(LogError) { try room.checkpoint(open) } catch { fail(error) }
            }
            if turn.moreChores { nextChores = 0 }
            lastResult = turn.result
            return .done(turn.answered)
        } catch  where error.isFull {
            return .full(error)
        } catch  where error.isBusy {
            sayWhoWrites(open.files)
            return .busy
        } catch {
            fail(error)
            return .failed
        }
    }

    private func catchUp(_ open: OpenLog) throws(LogError) {
        shared.beginWriting()
        defer { shared.endWriting() }
        var turn = WriterTurn(shared, open)
        try turn.catchUp()
        // Files that other processes have left may be torn.
        if shared.position.isCurrent { turn.tell(shared, open) }
    }

    /// The paths no longer lead to what is open.
    private func abandon(_ open: OpenLog) throws(LogError) -> Attempt {
        guard try open.saveWriteAheadLog() else {
            if conditions.insert(.unsaved).inserted {
                shared.say(
                    "files of the log were removed under the running process, and other programs "
                        + "(\(LockHolders.readers(of: open.files).list)) keep it from saving what they held; "
                        + "nothing is published until these end",
                    .error
                )
            }
            return .failed
        }
        conditions.remove(.unsaved)
        close()
        shared.say(
            "files of the log were removed or replaced under the running process; opening it anew",
            .warning
        )
        return .replaced
    }

    /// No other program keeps this one from writing.
    func wrote() { conditions.remove(.busy) }

    /// Names the processes that keep this one from writing.
    func sayWhoWrites(_ files: LogFileSet) {
        let writers = LockHolders.writers(of: files)
        // Holdfast's processes hold the lock only inside the gate, where this process is now.
        guard conditions.insert(.busy).inserted else { return }
        shared.say(
            "\(writers.isEmpty ? "another program" : writers.list) writes to log.sqlite, which only Holdfast may "
                + "do; nothing can be published until it stops",
            .warning
        )
    }
}
