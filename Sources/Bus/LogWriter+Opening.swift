import CLinux
import CSQLite
import Channels
import Glibc
import System
import Text

/// How the writer opens and closes the log.
extension LogWriter {
    /// Opens the log at once, without the pause after a failure.
    func reopenNow() {
        opening.hurry()
        reopenIfDue()
    }

    func reopenIfDue() {
        guard open == nil, opening.begins(now: MonotonicClock.milliseconds()) else { return }
        guard shared.closeReader(patienceMilliseconds: 5000) else {
            return fail(.problem("the log cannot be opened anew while it is being read"))
        }
        do throws(LogError) {
            try reopen()
        } catch  where error.isBusy && !shared.wasOpened {
            // Another program that writes is waited for at the start, too.
            sayWhoWrites(LogFileSet(in: shared.settings.directory))
            opening.hurry()
        } catch .writeAheadLogMissing {
            opening.missesWriteAheadLog(now: MonotonicClock.milliseconds())
        } catch .engineAwaited {
            // This is not a mistake of the setup: the engine reports itself whether it can be reached. Nothing can be
            // read meanwhile.
            opening.awaitsOther(now: MonotonicClock.milliseconds())
            if shared.wasOpened {
                tellUnavailable(
                    "the log is new, and is filled once PostgreSQL says where it begins"
                )
            } else {
                shared.endReopening()
            }
        } catch {
            fail(error)
        }
    }

    /// Waits as long as another process may still save what a removed write-ahead log held, so that a group that comes
    /// meanwhile is not refused. The last attempt is made when patience has ended, and takes the log as it is.
    func waitForWriteAheadLog() {
        guard open == nil, let end = opening.patienceEnds, MonotonicClock.milliseconds() < end
        else { return }
        var isLast = false
        while open == nil, !isLast {
            let pause = opening.next - MonotonicClock.milliseconds()
            _ = poll(nil, 0, Int32(clamping: max(0, pause)))
            isLast = MonotonicClock.milliseconds() >= end
            reopenIfDue()
        }
    }

    private func reopen() throws(LogError) {
        while true {
            do throws(LogError) {
                let opened = try OpenLog.open(
                    shared,
                    suspect: opening.isSuspect,
                    isPatient: opening.isPatient(now: MonotonicClock.milliseconds()),
                    known: opening.known
                )
                open = opened
                opening.succeeded()
                lookAtAllChannels()
                return room.opened(opened)
            } catch  where error.isFull {
                guard room.giveUpReserve() else { throw error }
            }
        }
    }

    func close() {
        if let open, let opened = shared.position.opened {
            opening.remember(
                LogWitness(
                    files: open.files,
                    head: shared.position.head,
                    boot: open.boot,
                    epoch: opened.epochs.current.name,
                    synced: open.page.isSynced
                )
            )
        }
        open = nil
    }

    /// Closes the log and says why, once for each reason; it is opened again within a second or so.
    func fail(_ error: LogError) {
        close()
        opening.failed(isDamage: error.isDamage, now: MonotonicClock.milliseconds())
        let sentence =
            switch error {
            case .problem(let sentence), .lasting(let sentence): sentence
            case .damage(let sentence):
                "cannot use \(shared.settings.directory)/log.sqlite: \(sentence)"
            case .database(let error):
                "cannot use \(shared.settings.directory)/log.sqlite: \(error)"
                    + (error.code == SQLITE_READONLY || error.code == SQLITE_CANTOPEN
                        ? "; the directory and its files must be writable for this process" : "")
            case .writeAheadLogMissing, .engineAwaited, .wouldLast: "cannot use the log: \(error)"
            }
        let isLasting = if case .lasting = error { true } else { false }
        tellUnavailable(sentence, isLasting: isLasting)
    }

    /// A read failed although the files are in place. The writer may not meet what is wrong for long, because it has the
    /// newest pages in memory, and what it acknowledges meanwhile would be lost. So it closes the log, and all of it is
    /// checked when it is opened again: once an hour at most.
    func readFailed(_ error: LogError) {
        guard open != nil else { return }
        let now = MonotonicClock.milliseconds()
        if error.isDamage, opening.mayCheckAll(now: now) { return fail(error) }
        guard opening.mayReportRead(now: now) else { return }
        shared.say(
            "\(shared.settings.directory)/log.sqlite cannot be read everywhere: \(error); subscribers who need what is there "
                + "get 503"
                + (error.isDamage
                    ? "; if this goes on, move log.sqlite away, and a new log begins" : ""),
            .error
        )
    }

    /// Once for each reason. No question waits for the next opening.
    private func tellUnavailable(_ sentence: String, isLasting: Bool = false) {
        let isNew = opening.isNew(sentence)
        if isNew || shared.position.opened != nil {
            shared.tell(unavailable: sentence, isLasting: isLasting)
        } else {
            shared.endReopening()
        }
    }

    /// Leaves an empty write-ahead log behind, so that a copy of log.sqlite alone is complete, or says why not.
    func end() {
        guard let open else { return }
        do throws(LogError) {
            try open.enterGate(shared)
            defer { open.directory.leave() }
            if open.isCurrent {
                // A reader of our own kind is done by the second attempt.
                var isEmpty = false
                for _ in 1...4 where !isEmpty {
                    isEmpty = try open.database.checkpoint(.truncate).isDone
                }
                if isEmpty {
                    // All of it is on the disk: an orderly reboot loses nothing.
                    open.page.note(isSynced: true)
                } else {
                    sayIncomplete("\(LockHolders.readers(of: open.files).list) reads it")
                }
            } else if try !open.saveWriteAheadLog() {
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
