import CLinux

extension OpenLog {
    /// What the witness says, if the paths still lead to what is open here. Under the gate.
    func note() -> WakePage.Note? { paths.look().all ? page.note(of: files) : nil }

    /// Whether the paths still lead to what is open here, each of them looked at. Under the gate.
    var isCurrent: Bool { paths.lookAtAll().all && page.note(of: files) != nil }

    /// Brings home what only the write-ahead log holds, when the paths no longer lead to what is open here: it may have
    /// no name any more, and then nobody opens it again. Under the gate.
    ///
    /// Returns false where readers kept it from being complete, and another attempt is worth while.
    func bringHome() throws(DatabaseError) -> Bool {
        let found = directory.files
        guard found.log == files.log else {
            // This log.sqlite is nobody's any more but of those who have it open.
            _ = try store.checkpoint(.truncate)
            return true
        }
        // Another process may go on with this log.sqlite already, and a write-ahead log of its own.
        let isTaken = found.writeAhead != files.writeAhead && directory.writeAheadBytes > 0
        guard !isTaken, witnessNow.map({ $0.files == files }) ?? true else { return true }
        return try store.checkpoint(.truncate).isComplete
    }

    /// What the file `wake` says that is there now.
    private var witnessNow: LogWitness? {
        if directory.wake == page.identity { return page.witness }
        guard directory.wake != nil else { return nil }
        return try? WakePage(directory, boot: boot).witness
    }
}
