/// The sections of the log's history, oldest first; each begins where its predecessor stopped being trustworthy.
///
/// A new one begins when the log is created, when it turns out to be older than what subscribers were already told, and
/// after a reboot that may have lost commits. A cursor (e,o) keeps its meaning iff o lies before the start of the epoch
/// after e, and none of the later epochs began with the loss of something that subscribers had been told: otherwise a
/// subscriber that continues from the cursor would miss that unknowingly.
package struct EpochHistory: Equatable, Sendable {
    package struct Stretch: Equatable, Sendable {
        package let epoch: Epoch
        /// The first offset issued in this epoch.
        package let start: Offset
        /// The newest offset of the previous epoch that subscribers had been told when this one began; nil if nothing
        /// proves it.
        package let told: Offset?

        package init(epoch: Epoch, start: Offset, told: Offset?) {
            self.epoch = epoch
            self.start = start
            self.told = told
        }

        /// Whether something that was told in the previous epoch may be missing.
        package var beganWithLoss: Bool { told.map { $0 >= start } ?? true }
    }

    package private(set) var stretches: [Stretch]

    /// `stretches` has at least one element; starts never decrease.
    package init(_ stretches: [Stretch]) {
        precondition(!stretches.isEmpty, "a log has at least one epoch")
        self.stretches = stretches
    }

    package var current: Epoch { stretches[stretches.count - 1].epoch }

    package func knows(_ epoch: Epoch) -> Bool { stretches.contains { $0.epoch == epoch } }

    /// The validity of a cursor in this log.
    package enum Verdict: Equatable, Sendable {
        /// Continue after this offset.
        case valid(Offset)
        /// The cursor's epoch ended before its offset, or belongs to another log, or something after the cursor was
        /// lost since: continue with everything from `resume` on, and report a gap. A cursor of the current epoch never
        /// gets this verdict, so each subscriber is told once.
        case restarted(resume: Offset)
        /// The current epoch, but an offset that was not issued yet.
        case future
    }

    /// `head` is the newest committed offset. For a cursor after the head that this process knows, the log must be
    /// asked first, because another process may be ahead.
    package func verdict(on cursor: Cursor, head: Offset) -> Verdict {
        guard let index = stretches.lastIndex(where: { $0.epoch == cursor.epoch }) else {
            return .restarted(resume: .start)
        }
        let later = stretches[(index + 1)...]
        guard let next = later.first else {
            return cursor.offset <= head ? .valid(cursor.offset) : .future
        }
        guard cursor.offset < next.start, !later.contains(where: \.beganWithLoss) else {
            return .restarted(resume: min(cursor.offset, next.start.previous))
        }
        return .valid(cursor.offset)
    }
}
