import Channels
import System

/// How a thread that has an append has it committed without the writer thread.
extension LogWriter {
    /// The most bytes of bodies: a larger append takes longer than waking another thread.
    private static let mostBytes = 64 << 10

    /// Commits the append, if that is brief, nothing must be waited for, and nothing else is due. Returns false, with
    /// nothing changed, if that is not so: the append is the writer thread's then, as is whatever went wrong.
    ///
    /// Only in memory: a write to a disk may have to wait for it even where nothing is synced.
    func appendAtOnce(_ append: Append) -> Bool {
        guard let open, open.directory.isInMemory, Self.isSmall(append), isIdle,
            isNothingDue(open), enterGateIfFree(open)
        else { return false }
        var inside = true
        defer { if inside { open.directory.leave() } }
        // Otherwise the files were replaced, or other processes have committed what is not read yet.
        guard let note = open.note(), note.head == shared.head else { return false }
        shared.beginWriting()
        defer { shared.endWriting() }
        var turn = WriterTurn(shared, open)
        do throws(LogError) {
            try open.database.connection.withoutPatience { () throws(LogError) in
                try turn.run([append], note, walk: &walk, chores: false, isBrief: true)
            }
        } catch {
            return false
        }
        turn.writeWitness(open.page, note)
        ended(.busy)
        open.directory.leave()
        inside = false
        turn.tell(shared, open)
        // The writer thread may sleep for long.
        if turn.moreChores { shared.writerBox.post(.check) }
        return true
    }

    private static func isSmall(_ append: Append) -> Bool {
        append.dropping.isEmpty && append.drafts.count <= groupMessages
            && append.drafts.reduce(0) { $0 + $1.body.count } <= mostBytes
    }

    /// Neither chores nor a checkpoint, which take longer than a commit; nor does a reader keep the write-ahead log from
    /// being emptied.
    private func isNothingDue(_ open: OpenLog) -> Bool {
        let now = MonotonicClock.milliseconds()
        let pages = open.database.connection.walPages
        return now < nextChores && !pace.isDue(pages: pages, now: now) && !isWriteAheadFull(open)
    }

    private func enterGateIfFree(_ open: OpenLog) -> Bool {
        guard open.directory.enterIfFree() else { return false }
        shared.count { $0.gateWaits += 1 }
        return true
    }
}
