import CLinux

extension OpenLog {
    /// The witness, if the paths still lead to the open files; nil otherwise. Under the gate.
    func note() -> WakePage.Note? { paths.check().all ? page.note(of: files) : nil }

    /// Whether each of the paths still leads to the open file. Under the gate.
    var isCurrent: Bool { paths.checkAll().all && page.note(of: files) != nil }

    /// Copies what only the write-ahead log holds into log.sqlite when the paths no longer lead to the open files: a
    /// write-ahead log without a name is never opened again. Under the gate.
    ///
    /// Returns false if readers kept it from completing, so that another attempt may succeed.
    func saveWriteAheadLog() throws(LogError) -> Bool {
        let found = directory.files
        guard found.log == files.log else {
            // Only processes that have this log.sqlite open can still reach it.
            _ = try database.checkpoint(.truncate)
            return true
        }
        // Another process may go on with this log.sqlite already, and a write-ahead log of its own.
        let isTaken = found.writeAhead != files.writeAhead && directory.writeAheadBytes > 0
        guard !isTaken, witnessNow.map({ $0.files == files }) ?? true else { return true }
        return try database.checkpoint(.truncate).isComplete
    }

    /// The witness in the file `wake` that is there now.
    private var witnessNow: LogWitness? {
        if directory.wake == page.identity { return page.witness }
        guard directory.wake != nil else { return nil }
        return try? WakePage(directory, boot: boot).witness
    }
}
