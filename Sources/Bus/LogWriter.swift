import CLinux
import CSQLite
import Channels
import Configuration

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
    /// Pages of write-ahead log after which it is copied into the file; fewer where the reserve is small, for the file
    /// may have to grow by as many on a disk that has nothing left but the reserve.
    let passivePages: Int
    /// Above it the next writer is to begin the write-ahead log anew: 4 MB, a little more than a passive checkpoint
    /// needs to have had its chance.
    var restartPages: Int { passivePages + 64 }

    let shared: LogShared
    var open: OpenLog?
    private var queue: [Append] = []
    private var queueStart = 0
    private var stopping = false
    private var suspect = false
    private var said = ""
    private var nextChores: Int64 = 0
    private var nextOpening: Int64 = 0
    /// See `LogStore.chores`.
    private var walk: Int64? = 0
    var nextCheckpointPages: Int
    /// While the disk is full the file may not grow, or checkpoints could not be completed.
    var tight = false
    var nextFullNotice: Int64 = 0

    init(_ shared: LogShared) {
        self.shared = shared
        let reserve = Int(shared.settings.reserveBytes / LogConnection.pageBytes)
        passivePages = reserve > 0 ? min(1000, max(16, reserve * 3 / 4)) : 1000
        nextCheckpointPages = passivePages
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
        case failed
    }

    /// Answers every append of the group.
    private func runGroup(_ group: [Append]) {
        var rest = group[...]
        var reopenings = 0
        var rounds = 0
        while !rest.isEmpty {
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
                if rounds <= 4, makeRoom(for: bytes, round: rounds, error) { continue }
                if rest.count > 1 {
                    // A small message may fit where the whole group does not.
                    for append in rest { runGroup([append]) }
                } else {
                    for append in rest {
                        shared.deliver(.appended(ticket: append.ticket, .full))
                    }
                }
                return
            case .failed, .replaced:
                for append in rest {
                    shared.deliver(.appended(ticket: append.ticket, .unavailable))
                }
                return
            }
        }
    }

    /// Messages too old, past their time to live, and what else the clock makes due; also the look at the paths.
    private func doChores() {
        nextChores = monotonicMilliseconds() + 1000
        switch attempt([], chores: true) {
        case .full(let error):
            shared.count { $0.diskFull += 1 }
            _ = makeRoom(for: 0, round: 1, error)
        case .replaced:
            nextOpening = 0
            reopenIfDue()
        case .done, .failed: break
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
            guard open.isCurrent else {
                close()
                say("the log was removed or replaced under the running process; opening it anew")
                return .replaced
            }
            if chores { tendReserve(open) }
            shared.beginWriting()
            defer { shared.endWriting() }
            var turn = LogTurn(shared, open)
            try turn.run(appends, walk: &walk, chores: chores)
            turn.writeWitness(open.page)
            let checkpoint = open.store.connection.walPages >= nextCheckpointPages
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
        turn.tell(shared, open)
    }

    func enterGate(_ open: OpenLog) throws {
        let before = microseconds(of: CLOCK_MONOTONIC)
        try open.directory.enter()
        let waited = microseconds(of: CLOCK_MONOTONIC) - before
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
        do {
            open = try OpenLog.open(shared, suspect: suspect)
            (suspect, walk, tight) = (false, 0, false)
            nextCheckpointPages = passivePages
            nextChores = 0
            said = ""
        } catch let error as DatabaseError where error.isFull && giveUpReserve() {
            fail(error)
            nextOpening = monotonicMilliseconds()
        } catch {
            fail(error)
        }
    }

    private func giveUpReserve() -> Bool {
        Reserve(path: shared.settings.directory + "/reserve", bytes: 0).giveUp()
    }

    private func close() {
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

    private func say(_ sentence: String) { shared.deliver(.notice(sentence)) }

    /// Leaves an empty write-ahead log behind where no other process reads it, so that a copy of log.sqlite alone
    /// is complete.
    private func end() {
        guard let open else { return }
        do {
            try enterGate(open)
            defer { open.directory.leave() }
            if open.isCurrent, try open.store.checkpoint(.truncate) {
                // All of it is on the disk: an orderly reboot loses nothing.
                open.page.isSynced = true
            }
        } catch {
            say("the last checkpoint failed, which loses nothing: \(error)")
        }
        close()
    }
}
