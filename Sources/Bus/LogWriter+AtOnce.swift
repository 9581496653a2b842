import Channels
import System

/// How a thread that has appends commits them without the writer thread.
extension LogWriter {
    /// The most bytes of bodies: more takes longer than waking another thread.
    private static let mostBytes = 64 << 10

    /// Commits the appends, if that is brief, nothing must be waited for, and nothing else is due. Returns how many were
    /// answered, 0 with nothing changed if that is not so; the others are the writer thread's, as is whatever went wrong.
    ///
    /// Only in memory: a write to a disk may have to wait for it even where nothing is synced.
    func appendAtOnce(_ appends: [Append]) -> Int {
        guard let open, open.directory.isInMemory, Self.areSmall(appends), isIdle,
            isNothingDue(open), open.directory.enterIfFree()
        else { return 0 }
        var inside = true
        defer { if inside { open.directory.leave() } }
        // Otherwise the files were replaced, or other processes have committed what is not read yet.
        guard let note = open.note(), note.head == shared.head else { return 0 }
        shared.beginWriting()
        defer { shared.endWriting() }
        var turn = WriterTurn(shared, open)
        do throws(LogError) {
            try open.database.connection.withoutPatience { () throws(LogError) in
                try turn.run(appends, note, isBrief: true)
            }
        } catch {
            return 0
        }
        shared.count { $0.gateWaits += 1 }
        turn.writeWitness(open.page, note)
        wrote()
        open.directory.leave()
        inside = false
        turn.tell(shared, open)
        // The writer thread may sleep for a long time.
        if turn.moreChores { shared.writerBox.post(.check) }
        return turn.answered
    }

    private static func areSmall(_ appends: [Append]) -> Bool {
        var (messages, bytes) = (0, 0)
        for append in appends {
            guard append.dropping.isEmpty else { return false }
            messages += append.drafts.count
            bytes += append.bytes
        }
        return messages <= groupMessages && bytes <= mostBytes
    }

    /// Neither chores nor a checkpoint, which take longer than a commit; nor does a reader keep the write-ahead log from
    /// being emptied.
    private func isNothingDue(_ open: OpenLog) -> Bool {
        let now = MonotonicClock.milliseconds()
        return now < nextChores && room.isQuiet(open, now: now)
    }
}
