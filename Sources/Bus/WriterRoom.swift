import CLinux
import Channels
import System
import Text

/// How the writer copes with a growing write-ahead log and a full disk.
struct WriterRoom {
    /// Conditions that are reported when they begin, and again only after they have ended.
    private enum Condition { case checkpoint, smallReserve, writeAheadFull }

    private let shared: LogShared
    /// Set when the log is opened.
    private var pace = CheckpointPace(passivePages: 1000, mostPages: .max)
    private var blockingReaders = BlockingReaders()
    /// The size of the reserve, or its size before it was released.
    private var reserveBytes: Int64 = 0
    /// While the disk is full, the file may not grow, or checkpoints could not be completed.
    private var tight = false
    private var conditions: Set<Condition> = []
    /// For the notices that the log is full, and that publishers are refused for that.
    private var fullNotices = Throttle(milliseconds: 60_000)
    private var refusalNotices = Throttle(milliseconds: 60_000)

    init(_ shared: LogShared) { self.shared = shared }

    /// The log was opened.
    mutating func opened(_ open: OpenLog) {
        let reserve = open.reserve.make(in: open.directory)
        haveReserve(of: reserve, open)
        tight = open.reserve.wantedBytes > 0 && reserve == 0
        if tight { try? open.database.limitGrowth(to: 0) }
    }

    // MARK: The write-ahead log

    /// Whether neither a checkpoint is due nor readers keep the write-ahead log from growing.
    func isQuiet(_ open: OpenLog, now: Int64) -> Bool {
        let pages = open.database.connection.walPages
        return !pace.isDue(pages: pages, now: now) && pages < pace.mostPages
    }

    func isCheckpointDue(_ open: OpenLog, now: Int64) -> Bool {
        pace.isDue(pages: open.database.connection.walPages, now: now)
    }

    /// Under the gate, before a transaction. Whether the write-ahead log may grow: readers may keep so much in it that
    /// nothing may be added.
    mutating func mayGrow(_ open: OpenLog) throws(LogError) -> Bool {
        guard isWriteAheadFull(open) else { return true }
        if pace.isDue(pages: .max, now: MonotonicClock.milliseconds()) { try checkpoint(open) }
        if isWriteAheadFull(open) {
            sayWriteAheadIsFull(open)
            return false
        }
        conditions.remove(.writeAheadFull)
        return true
    }

    private func isWriteAheadFull(_ open: OpenLog) -> Bool {
        open.database.connection.walPages >= pace.mostPages
    }

    /// Under the gate, after a commit. A passive checkpoint copies what no reader still needs. If the write-ahead log
    /// grows nevertheless, a checkpoint that waits for readers lets the next writer restart it. Throws if the log is
    /// damaged.
    mutating func checkpoint(_ open: OpenLog) throws(LogError) {
        let pages = open.database.connection.walPages
        let now = MonotonicClock.milliseconds()
        do throws(LogError) {
            let passive = try open.database.checkpoint(.passive)
            shared.count { $0.checkpoints += 1 }
            guard pages >= pace.restartPages else {
                if passive.isComplete { isUnblocked() } else { pace.wasIncomplete(pages: pages) }
                return
            }
            let patience = pace.patience(now: now)
            if try open.database.checkpoint(.restart, patienceMilliseconds: patience).isDone {
                isUnblocked()
            } else {
                pace.wasBlocked(now: MonotonicClock.milliseconds(), waited: patience > 0)
                sayWhoReads(open, pages)
            }
        } catch  where error.isFull {
            pace.wasIncomplete(pages: pages)
            giveUpReserve(open)
        } catch  where error.isDamage {
            throw error
        } catch {
            // Nothing is lost: everything stays in the write-ahead log. Trying again at once would not help.
            pace.wasBlocked(now: now, waited: false)
            if conditions.insert(.checkpoint).inserted {
                shared.say("log.sqlite-wal cannot be copied into log.sqlite: \(error)", .error)
            }
        }
    }

    private mutating func isUnblocked() {
        pace.succeeded()
        conditions.remove(.checkpoint)
        let readers = blockingReaders.unblocked()
        guard !readers.isEmpty else { return }
        shared.say(
            "\(readers.list) no longer keeps log.sqlite-wal from being emptied",
            .notice
        )
    }

    /// Names, once, the processes that have been reading as long as the write-ahead log could not be restarted.
    private mutating func sayWhoReads(_ open: OpenLog, _ pages: Int) {
        let now = MonotonicClock.milliseconds()
        guard blockingReaders.areSought, let since = pace.blockedSince else { return }
        let readers = blockingReaders.wereReading(
            LockHolders.readers(of: open.files),
            blockedSince: since,
            now: now
        )
        guard !readers.isEmpty else { return }
        shared.say(
            "\(readers.list) has been reading the log without a pause: log.sqlite-wal cannot be emptied, "
                + "and is \(Self.megabytes(pages, open)) MB in size; at \(Self.megabytes(pace.mostPages, open)) MB nothing can be "
                + "published any more; end it, or let it read in shorter transactions",
            .warning
        )
    }

    /// Says that publishers are refused because of the write-ahead log.
    private mutating func sayWriteAheadIsFull(_ open: OpenLog) {
        guard conditions.insert(.writeAheadFull).inserted else { return }
        let readers = LockHolders.readers(of: open.files)
        shared.say(
            "nothing can be published: log.sqlite-wal is \(Self.megabytes(pace.mostPages, open)) MB in size and cannot be emptied, "
                + (readers.isEmpty
                    ? "since another program reads the log; end it"
                    : "since \(readers.list) reads the log; end it"),
            .error
        )
    }

    private static func megabytes(_ pages: Int, _ open: OpenLog) -> Int {
        pages * Int(open.database.connection.pageBytes) >> 20
    }

    // MARK: The disk

    /// Makes room after a transaction failed for want of it: releases the reserve, empties the write-ahead log, then
    /// trims the oldest messages of all channels. Returns whether another attempt makes sense.
    ///
    /// - Parameter round: 1, 2, … for the same transaction.
    mutating func make(for bytes: Int, round: Int, _ open: OpenLog) throws(LogError) -> Bool {
        do throws(LogError) {
            try open.enterGate(shared)
            defer { open.directory.leave() }
            guard open.isCurrent else { return true }
            let needed = Int64(bytes) / open.database.connection.pageBytes * 5 / 4 + 8
            let room = try open.database.room()
            let limited = room.growth < needed && !tight
            let gaveUp = !limited && giveUpReserve(open)
            let emptied = (try? open.database.checkpoint(.truncate).isDone) ?? false
            if room.free >= needed {
                // Trimming would not help: the disk is full.
                guard limited else { return gaveUp || (emptied && round == 1) }
                // Another process may have made this room. If it is not enough after all, because many small messages
                // touch many pages, more must be removed.
                if round == 1 { return true }
            }
            if !limited, !emptied, open.database.connection.walPages > pace.passivePages {
                // Trimming would not help while a reader blocks checkpoints: deletions only fill the write-ahead log.
                sayWhoReads(open, open.database.connection.walPages)
                return gaveUp
            }
            // Deleting may have to rebalance indexes into a few new pages.
            try open.database.limitGrowth(to: room.growth > 64 ? nil : 64)
            defer { try? open.database.limitGrowth(to: tight ? 0 : nil) }
            // Keys are removed before any message.
            if try open.database.transaction(
                shared.time(),
                { transaction throws(LogError) in try transaction.giveUpKeys() }
            ) {
                return true
            }
            let trimmed = try trimOldest(open)
            _ = try open.database.checkpoint(.truncate)
            // A log that stays at its largest size is trimmed every few seconds.
            if trimmed > 0, fullNotices.passes(now: MonotonicClock.milliseconds()) {
                shared.say(
                    "the log is full (\(limited ? "[bus] max_bytes" : "its disk")): "
                        + "\(trimmed) of the oldest messages were trimmed",
                    .warning
                )
            }
            pace.succeeded()
            return trimmed > 0 || gaveUp || (emptied && round == 1)
        } catch  where error.isFull {
            return false
        }
    }

    /// Says that publishers are told that the log is full.
    mutating func sayFull(_ error: LogError) {
        guard refusalNotices.passes(now: MonotonicClock.milliseconds()) else { return }
        shared.say(
            "publishers are told that the log is full (507): \(error), and trimming old messages makes no room; "
                + "make room on the disk of \(shared.settings.directory), or raise max_bytes in [bus]",
            .error
        )
    }

    /// Trims a tenth of all messages, so that the log is not full again at once.
    private func trimOldest(_ open: OpenLog) throws(LogError) -> Int64 {
        let goal = max(1, open.database.state.messages / 10)
        let time = shared.time()
        var trimmed: Int64 = 0
        var portion: Int64 = 1000
        while trimmed < goal {
            do throws(LogError) {
                let removed = try open.database.transaction(time) { transaction throws(LogError) in
                    try transaction.trimOldest(limit: min(portion, goal - trimmed))
                    return Int64(transaction.trimmedMessages)
                }
                if removed == 0 { break }
                trimmed += removed
                shared.count { $0.messagesTrimmed += Int(removed) }
            } catch  where error.isFull && portion > 1 {
                // Deleting fewer at once takes fewer pages of the write-ahead log.
                portion = max(1, portion / 8)
                _ = try open.database.checkpoint(.truncate)
            }
            if open.database.connection.walPages >= pace.passivePages / 2 {
                _ = try open.database.checkpoint(.truncate)
            }
        }
        return trimmed
    }

    @discardableResult
    private mutating func giveUpReserve(_ open: OpenLog) -> Bool {
        let gaveUp = open.reserve.giveUp()
        if gaveUp { sayReserveIsGone() }
        tight = true
        try? open.database.limitGrowth(to: 0)
        return gaveUp
    }

    /// The log could not be opened for want of room: releases the reserve; false if there is none.
    func giveUpReserve() -> Bool {
        let path = shared.settings.directory + "/reserve"
        guard Reserve(path: path, wantedBytes: 0).giveUp() else { return false }
        sayReserveIsGone()
        return true
    }

    private func sayReserveIsGone() {
        shared.say(
            "the disk of \(shared.settings.directory) is full: the reserve file was given up; make room on it",
            .warning
        )
    }

    /// Makes the reserve again, as large as it was, when there is room; while it is missing the file may not grow.
    mutating func tendReserve(_ open: OpenLog) {
        guard open.reserve.wantedBytes > 0 else { return }
        let size = max(reserveBytes, Reserve.leastBytes)
        if !tight {
            // A reserve that had to be small grows when there is room.
            if size < open.reserve.wantedBytes,
                open.reserve.make(open.reserve.wantedBytes, in: open.directory)
            {
                haveReserve(of: open.reserve.wantedBytes, open)
            }
            return
        }
        guard open.reserve.make(size, in: open.directory) else { return }
        tight = false
        try? open.database.limitGrowth(to: nil)
        haveReserve(of: size, open)
        shared.say("there is room on the disk again: the reserve file was made anew", .notice)
    }

    /// Limits checkpoints to the size of the reserve: on a full disk log.sqlite can grow only by that.
    private mutating func haveReserve(of bytes: Int64, _ open: OpenLog) {
        reserveBytes = bytes
        let wanted = open.reserve.wantedBytes
        if bytes < wanted, conditions.insert(.smallReserve).inserted {
            shared.say(
                "the disk of \(open.directory.path) is nearly full: "
                    + (bytes > 0
                        ? "the reserve is only \(bytes >> 10) kB, "
                        : "there is no room for the reserve, so that old messages may not be trimmed for new ones, ")
                    + "instead of \(wanted >> 10) kB (reserve_bytes in [bus]); make room on it",
                .warning
            )
        }
        pace = Self.pace(
            reserveBytes: wanted > 0 ? max(bytes, Reserve.leastBytes) : 0,
            mostBytes: shared.settings.maxBytes,
            pageBytes: open.database.connection.pageBytes
        )
    }

    private static func pace(reserveBytes: Int64, mostBytes: Int64, pageBytes: Int64)
        -> CheckpointPace
    {
        let reserve = Int(reserveBytes / pageBytes)
        return CheckpointPace(
            passivePages: reserve > 0 ? min(1000, max(16, reserve * 3 / 4)) : 1000,
            mostPages: Int(max(mostBytes, 16 << 20) / pageBytes)
        )
    }
}
