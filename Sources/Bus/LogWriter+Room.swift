import CLinux
import Configuration

/// What the writer does against a write-ahead log that grows and a disk that is full.
extension LogWriter {
    /// Under the gate, after a commit. A passive checkpoint takes what no reader still needs; if the write-ahead log
    /// grows nevertheless, one that waits for readers makes the next writer begin it anew.
    func checkpoint(_ open: OpenLog) {
        let pages = open.store.connection.walPages
        do {
            var complete = try open.store.checkpoint(.passive)
            if pages >= restartPages, try open.store.checkpoint(.restart) { complete = true }
            shared.count { $0.checkpoints += 1 }
            // Incomplete: some more pages, not every commit, before the next attempt.
            nextCheckpointPages =
                complete ? passivePages : max(passivePages, pages + passivePages / 4)
        } catch let error as DatabaseError where error.isFull {
            nextCheckpointPages = pages + passivePages / 4
            giveUpReserve(open)
        } catch {
            nextCheckpointPages = pages + passivePages / 4
            shared.deliver(.notice("a checkpoint failed, which loses nothing yet: \(error)"))
        }
    }

    /// Finds room after a transaction failed for want of it: the reserve, the write-ahead log's space, then the
    /// oldest messages of all channels. Returns whether another attempt makes sense.
    ///
    /// - Parameter round: 1, 2, … for the same transaction.
    func makeRoom(for bytes: Int, round: Int, _ error: DatabaseError) -> Bool {
        guard let open else { return false }
        do {
            try enterGate(open)
            defer { open.directory.leave() }
            guard open.isCurrent else { return true }
            let needed = Int64(bytes) / LogConnection.pageBytes * 5 / 4 + 8
            let room = try open.store.room()
            let limited = room.growth < needed && !tight
            let gaveUp = !limited && giveUpReserve(open)
            let emptied = (try? open.store.checkpoint(.truncate)) ?? false
            if room.free >= needed {
                // Trimming would not help: what lacks is room on the disk.
                guard limited else { return gaveUp || (emptied && round == 1) }
                // Somebody else may have made this room. Where it does not do in spite of our reckoning, for many small
                // messages touch many pages, more has to go.
                if round == 1 { return true }
            }
            // Deleting may have to rebalance indexes into a few new pages.
            try open.store.limitGrowth(to: room.growth > 64 ? nil : 64)
            defer { try? open.store.limitGrowth(to: tight ? 0 : nil) }
            // No message goes as long as there are keys.
            if try open.store.giveUpKeys(shared.time()) { return true }
            let trimmed = try trimOldest(open)
            _ = try open.store.checkpoint(.truncate)
            if trimmed > 0, monotonicMilliseconds() >= nextFullNotice {
                // A log that lives at its largest size says so now and then, not every few seconds.
                nextFullNotice = monotonicMilliseconds() + 60_000
                shared.deliver(
                    .notice(
                        "the log is full (\(limited ? "[bus] max_bytes" : "its disk")): "
                            + "\(trimmed) of the oldest messages were trimmed"
                    )
                )
            }
            nextCheckpointPages = passivePages
            return trimmed > 0 || gaveUp || (emptied && round == 1)
        } catch let error as DatabaseError where error.isFull {
            return false
        } catch {
            fail(error)
            return false
        }
    }

    /// Trims a tenth of all messages, so that the log is not full again at once.
    private func trimOldest(_ open: OpenLog) throws -> Int64 {
        let goal = max(1, open.store.state.messages / 10)
        let time = shared.time()
        var trimmed: Int64 = 0
        var portion: Int64 = 1000
        while trimmed < goal {
            do {
                let removed = try open.store.transaction(time) {
                    try open.store.trimOldest(limit: min(portion, goal - trimmed))
                    return Int64(open.store.trimmedMessages)
                }
                if removed == 0 { break }
                trimmed += removed
                shared.count { $0.messagesTrimmed += Int(removed) }
            } catch let error as DatabaseError where error.isFull && portion > 1 {
                // Deleting fewer at once takes fewer pages of the write-ahead log.
                portion = max(1, portion / 8)
                _ = try open.store.checkpoint(.truncate)
            }
            if open.store.connection.walPages >= passivePages / 2 {
                _ = try open.store.checkpoint(.truncate)
            }
        }
        return trimmed
    }

    @discardableResult
    private func giveUpReserve(_ open: OpenLog) -> Bool {
        let reserve = Reserve(
            path: open.directory.reservePath,
            bytes: shared.settings.reserveBytes
        )
        let gaveUp = reserve.giveUp()
        if gaveUp {
            shared.deliver(
                .notice(
                    "the disk of \(open.directory.path) is full: the reserve file was given up; "
                        + "make room on it"
                )
            )
        }
        tight = true
        try? open.store.limitGrowth(to: 0)
        return gaveUp
    }

    /// Makes the reserve again when there is room; while it is missing the file may not grow.
    func tendReserve(_ open: OpenLog) {
        guard shared.settings.reserveBytes > 0 else { return }
        let reserve = Reserve(
            path: open.directory.reservePath,
            bytes: shared.settings.reserveBytes
        )
        if reserve.make(in: open.directory) {
            guard tight else { return }
            tight = false
            try? open.store.limitGrowth(to: nil)
            shared.deliver(
                .notice("there is room on the disk again: the reserve file was made anew")
            )
        }
    }
}
