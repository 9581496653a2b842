import CLinux
import CSQLite
import Channels
import Configuration
import Glibc
import System

/// The writer thread: the only one of the process to take the gate.
///
/// A turn is {gate → look whether the file is still the one → BEGIN IMMEDIATE → read what others appended → append a
/// group → trim → COMMIT → witness → leave → wake the others}; then the process is told: first the others' messages,
/// then its own, then the marks that its own trimming raised, then each publisher its outcome. An error ends the
/// transaction; a log that was replaced is opened anew and the group tried again there; a log without room is trimmed
/// and the group tried again; anything else closes the log, answers the publishers, and is retried in a second.
final class LogWriter {
    static let groupMessages = 64
    static let groupMicroseconds: Int64 = 5000
    /// Messages of others that are read inside the gate, at the most.
    private static let farBehind: Int64 = 512
    private static let retryMilliseconds: Int64 = 1000
    /// How long a group of messages waits for a stranger who holds SQLite's write lock.
    private static let busyMilliseconds: Int64 = 2000
    /// Twice as long as another process needs to notice that its files were removed.
    private static let patienceMilliseconds: Int64 = 2000

    let shared: LogShared
    var open: OpenLog?
    private var queue: [Append] = []
    private var queueStart = 0
    private var stopping = false
    private var suspect = false
    /// What this process had open last, and told of it.
    private var known: Witness?
    private var said = ""
    private var saidOnce: Set<Once> = []
    private var nextChores: Int64 = 0
    private var nextOpening: Int64 = 0
    /// Until when others may bring home what a write-ahead log held that was removed.
    private var patienceEnds: Int64?
    /// See `LogStore.chores`.
    private var walk: Int64? = 0
    var pace: CheckpointPace
    /// Who is said to keep the write-ahead log from being emptied; and who may, since when.
    var namedReaders: Set<LockHolder> = []
    var suspects: Set<LockHolder> = []
    var suspectedSince: Int64 = 0
    /// As large as the reserve is, or was before it was given up.
    var reserveBytes: Int64 = 0
    /// While the disk is full the file may not grow, or checkpoints could not be completed.
    var tight = false
    var nextFullNotice: Int64 = 0
    var nextRefusalNotice: Int64 = 0

    init(_ shared: LogShared) {
        self.shared = shared
        pace = Self.pace(reserveBytes: shared.settings.reserveBytes, shared.settings)
    }

    func run() {
        reopenIfDue()
        var committed = false
        while true {
            let waiting = queueStart < queue.count || stopping ? 0 : millisecondsToNextChore()
            for command in shared.writerBox.take(
                waitingMilliseconds: waiting,
                spinMicroseconds: committed ? 25 : 0
            ) {
                switch command {
                case .append(let append): queue.append(append)
                case .check: nextChores = 0
                case .retentionChanged:
                    (walk, nextChores) = (0, 0)
                    open?.store.retention = shared.retention
                case .stop: stopping = true
                }
            }
            reopenIfDue()
            committed = queueStart < queue.count
            if queueStart < queue.count {
                runGroup(takeGroup())
            } else if stopping {
                end()
                return
            }
            if monotonicMilliseconds() >= nextChores { doChores() }
        }
    }

    private func millisecondsToNextChore() -> Int64 {
        min(1000, max(1, (open == nil ? nextOpening : nextChores) - monotonicMilliseconds()))
    }

    /// At most 64 messages, but at least one append, however many it has.
    private func takeGroup() -> [Append] {
        var count = 0
        var end = queueStart
        while end < queue.count {
            let more = queue[end].drafts.count
            if end > queueStart, count + more > Self.groupMessages { break }
            count += more
            end += 1
        }
        defer {
            queueStart = end
            if queueStart == queue.count {
                queue.removeAll(keepingCapacity: queue.capacity < 4096)
                queueStart = 0
            } else if queueStart >= 1024 {
                queue.removeFirst(queueStart)
                queueStart = 0
            }
        }
        return Array(queue[queueStart..<end])
    }

    // MARK: Turns

    private enum Attempt {
        /// So many appends of the group were answered.
        case done(Int)
        case replaced
        case full(DatabaseError)
        /// Somebody else holds SQLite's write lock.
        case busy
        /// The write-ahead log is as large as it may be.
        case overgrown
        case failed
    }

    /// Answers every append of the group.
    private func runGroup(_ group: [Append]) {
        var rest = group[...]
        var reopenings = 0
        var rounds = 0
        let patience = monotonicMilliseconds() + Self.busyMilliseconds
        while !rest.isEmpty {
            waitForHomecoming()
            switch attempt(Array(rest), chores: false) {
            case .done(let count):
                rest = rest.dropFirst(count)
                (reopenings, rounds) = (0, 0)
            case .replaced where reopenings < 3:
                reopenings += 1
                nextOpening = 0
                reopenIfDue()
            case .full(let error):
                shared.count { $0.diskFull += 1 }
                rounds += 1
                let bytes = rest.reduce(0) { $0 + $1.drafts.reduce(0) { $0 + $1.body.count + 256 } }
                if rounds <= 4, makeRoom(for: bytes, round: rounds) { continue }
                if rest.count > 1 {
                    // A small message may fit where the whole group does not.
                    for append in rest { runGroup([append]) }
                } else {
                    if open != nil { sayFull(error) }
                    answer(rest, .full)
                }
                return
            case .busy where monotonicMilliseconds() < patience: continue
            case .overgrown: return answer(rest, .logBusy)
            case .failed, .replaced, .busy: return answer(rest, .unavailable)
            }
        }
    }

    private func answer(_ appends: ArraySlice<Append>, _ outcome: AppendOutcome) {
        for append in appends { shared.deliver(.appended(ticket: append.ticket, outcome)) }
    }

    /// Messages too old, past their time to live, and what else the clock makes due; also the look at the paths.
    private func doChores() {
        nextChores = monotonicMilliseconds() + 1000
        switch attempt([], chores: true) {
        case .full(let error):
            shared.count { $0.diskFull += 1 }
            if !makeRoom(for: 0, round: 1), open != nil { sayFull(error) }
        case .replaced:
            nextOpening = 0
            reopenIfDue()
        case .done, .failed, .busy, .overgrown: break
        }
        if walk != nil { nextChores = min(nextChores, monotonicMilliseconds() + 20) }
    }

    private func attempt(_ appends: [Append], chores: Bool) -> Attempt {
        guard let open else { return .failed }
        do {
            // Who was stopped for a while reads what it missed before others have to wait for that.
            if open.page.head - shared.position.head > Self.farBehind { try catchUp(open) }
            try enterGate(open)
            var inside = true
            defer { if inside { open.directory.leave() } }
            guard open.isCurrent else { return try leaveBehind(open) }
            if chores { tendReserve(open) }
            if isWriteAheadFull(open) {
                if pace.isDue(pages: .max, now: monotonicMilliseconds()) { checkpoint(open) }
                if isWriteAheadFull(open) {
                    sayWriteAheadIsFull(open)
                    return .overgrown
                }
                sayAgain(.writeAheadFull)
            }
            shared.beginWriting()
            defer { shared.endWriting() }
            var turn = LogTurn(shared, open)
            try turn.run(appends, walk: &walk, chores: chores)
            turn.writeWitness(open.page)
            sayAgain(.busy)
            let checkpoint = pace.isDue(
                pages: open.store.connection.walPages,
                now: monotonicMilliseconds()
            )
            if !checkpoint {
                open.directory.leave()
                inside = false
            }
            turn.tell(shared, open)
            shared.endWriting()
            if checkpoint { self.checkpoint(open) }
            if turn.moreChores { nextChores = 0 }
            return .done(turn.answered)
        } catch let error as DatabaseError where error.isFull {
            return .full(error)
        } catch let error as DatabaseError where error.isBusy {
            sayWhoWrites(open.files)
            return .busy
        } catch {
            fail(error)
            return .failed
        }
    }

    private func catchUp(_ open: OpenLog) throws {
        shared.beginWriting()
        defer { shared.endWriting() }
        var turn = LogTurn(shared, open)
        try turn.catchUp()
        // What was read from files that others have left may be torn.
        if shared.position.isCurrent { turn.tell(shared, open) }
    }

    /// The paths no longer lead to what is open.
    private func leaveBehind(_ open: OpenLog) throws -> Attempt {
        guard try open.bringHome() else {
            if said(once: .notHome) {
                shared.say(
                    "files of the log were removed under the running process, and other programs "
                        + "(\(Self.list(LockHolders.readers(of: open.files)))) keep it from saving what they held; "
                        + "nothing is published until these end",
                    .error
                )
            }
            return .failed
        }
        sayAgain(.notHome)
        close()
        shared.say(
            "files of the log were removed or replaced under the running process; opening it anew",
            .warning
        )
        return .replaced
    }

    func enterGate(_ open: OpenLog) throws {
        let before = MonotonicClock.microseconds()
        try open.directory.enter()
        let waited = MonotonicClock.microseconds() - before
        shared.count {
            $0.gateWaits += 1
            $0.gateWaitMicroseconds += waited
            $0.longestGateWaitMicroseconds = max($0.longestGateWaitMicroseconds, waited)
        }
    }

    // MARK: Opening and closing

    private func reopenIfDue() {
        guard open == nil, monotonicMilliseconds() >= nextOpening else { return }
        nextOpening = monotonicMilliseconds() + Self.retryMilliseconds
        guard shared.closeReader(patienceMilliseconds: 5000) else {
            return fail(LogProblem("the log can't be opened anew while it is being read"))
        }
        do {
            try reopen()
        } catch let error as DatabaseError where error.isBusy && !shared.wasOpened {
            // A stranger who writes is waited for, also at the start.
            sayWhoWrites(LogFileSet(in: shared.settings.directory))
            nextOpening = monotonicMilliseconds()
        } catch is WriteAheadLogMissing {
            patienceEnds = patienceEnds ?? monotonicMilliseconds() + Self.patienceMilliseconds
            nextOpening = monotonicMilliseconds() + 100
        } catch {
            fail(error)
        }
    }

    /// Waits for as long as another process may still bring home a write-ahead log that was removed: a group that comes
    /// meanwhile is not refused for that. The last attempt is made when patience has ended, and takes the log as it is.
    private func waitForHomecoming() {
        guard open == nil, let end = patienceEnds, monotonicMilliseconds() < end else { return }
        var isLast = false
        while open == nil, patienceEnds != nil, !isLast {
            let pause = nextOpening - monotonicMilliseconds()
            _ = poll(nil, 0, Int32(clamping: max(0, pause)))
            isLast = monotonicMilliseconds() >= end
            reopenIfDue()
        }
    }

    private func reopen() throws {
        while true {
            do {
                let opened = try OpenLog.open(
                    shared,
                    suspect: suspect,
                    isPatient: patienceEnds.map { monotonicMilliseconds() < $0 } ?? true,
                    known: known
                )
                (open, patienceEnds) = (opened, nil)
                (suspect, walk, known, said, nextChores) = (false, 0, nil, "", 0)
                let reserve = opened.reserve.make(in: opened.directory)
                haveReserve(of: reserve, opened)
                tight = opened.reserve.wantedBytes > 0 && reserve == 0
                if tight { try? opened.store.limitGrowth(to: 0) }
                return
            } catch let error as DatabaseError where error.isFull {
                let path = shared.settings.directory + "/reserve"
                guard Reserve(path: path, wantedBytes: 0).giveUp() else { throw error }
                sayReserveIsGone()
            }
        }
    }

    private func close() {
        if let open, let opened = shared.position.opened {
            known = Witness(
                files: open.files,
                head: shared.position.head,
                boot: open.boot,
                epoch: opened.epochs.current.name,
                synced: open.page.isSynced
            )
        }
        open = nil
    }

    /// Closes the log and says why, once for each reason; it is opened again within a second or so.
    func fail(_ error: any Error) {
        if let error = error as? DatabaseError, error.isDamage { suspect = true }
        close()
        nextOpening = monotonicMilliseconds() + Self.retryMilliseconds
        let sentence =
            switch error {
            case let problem as LogProblem: problem.description
            case let error as DatabaseError:
                "cannot use \(shared.settings.directory)/log.sqlite: \(error)"
                    + (error.code == SQLITE_READONLY || error.code == SQLITE_CANTOPEN
                        ? "; the directory and its files must be writable for this process" : "")
            default: "cannot use the log: \(error)"
            }
        let first = sentence != said
        said = sentence
        if first || shared.position.opened != nil { shared.tell(unavailable: sentence) }
    }

    /// What lasts is said when it begins, and again only after it has ended.
    enum Once { case busy, checkpoint, notHome, smallReserve, writeAheadFull }

    func said(once what: Once) -> Bool { saidOnce.insert(what).inserted }

    func sayAgain(_ what: Once) { saidOnce.remove(what) }

    /// Names who keeps this process from writing.
    private func sayWhoWrites(_ files: LogFileSet) {
        let writers = LockHolders.writers(of: files)
        // Our own hold it inside the gate alone, where this process is now.
        guard said(once: .busy) else { return }
        shared.say(
            "\(writers.isEmpty ? "another program" : Self.list(writers)) writes to log.sqlite, which nobody but Holdfast "
                + "may do; nothing can be published until it ends that",
            .warning
        )
    }

    /// Leaves an empty write-ahead log behind, so that a copy of log.sqlite alone is complete, or says why not.
    private func end() {
        guard let open else { return }
        do {
            try enterGate(open)
            defer { open.directory.leave() }
            if open.isCurrent {
                // A reader of our own kind is done by the second attempt.
                let isEmpty = try (1...4).contains { _ in
                    try open.store.checkpoint(.truncate).isDone
                }
                if isEmpty {
                    // All of it is on the disk: an orderly reboot loses nothing.
                    open.page.isSynced = true
                } else {
                    sayIncomplete("\(Self.list(LockHolders.readers(of: open.files))) reads it")
                }
            } else if try !open.bringHome() {
                sayIncomplete("files of the log were removed")
            }
        } catch {
            sayIncomplete("\(error)")
        }
        close()
    }

    private func sayIncomplete(_ why: String) {
        shared.say(
            "log.sqlite alone is not complete, since log.sqlite-wal could not be copied into it (\(why)): "
                + "keep both together, or use holdfast log backup",
            .warning
        )
    }
}
