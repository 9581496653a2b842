/// The stretches of the log's history, oldest first; each begins where its predecessor stopped being trusted.
///
/// A new one begins when the log is made, when it turns out to be older than what was already told to
/// somebody, and after a reboot that may have lost commits. A cursor (e,o) still means what it meant when it
/// was given iff o lies below the start of the epoch after e, and nothing that anybody had been told was lost
/// where that epoch and those after it began: else whoever reads on from it would miss that without knowing.
package struct EpochHistory: Equatable, Sendable {
    package struct Stretch: Equatable, Sendable {
        package let epoch: Epoch
        /// The first offset given out in this epoch.
        package let start: Offset
        /// How far the epoch before had been told when this one began; nil: nothing proves it.
        package let told: Offset?

        package init(epoch: Epoch, start: Offset, told: Offset?) {
            self.epoch = epoch
            self.start = start
            self.told = told
        }

        /// Whether something that was told in the epoch before may be missing behind it.
        package var beganWithLoss: Bool { told.map { $0 >= start } ?? true }
    }

    package private(set) var stretches: [Stretch]

    /// `stretches` has at least one element; starts never decrease.
    package init(_ stretches: [Stretch]) {
        precondition(!stretches.isEmpty, "a log has at least one epoch")
        self.stretches = stretches
    }

    package var current: Epoch { stretches[stretches.count - 1].epoch }

    /// What a cursor is worth in this log.
    package enum Verdict: Equatable, Sendable {
        /// Continue after this offset.
        case valid(Offset)
        /// The cursor's epoch was left before its offset, or is not ours, or something behind it was lost since:
        /// continue with everything from `resume` on, and say so. A cursor of the current epoch is never judged so,
        /// which is why everybody is told once.
        case restarted(resume: Offset)
        /// Our epoch, but an offset nobody gave out yet.
        case future
    }

    /// `head` is the newest committed offset; a cursor beyond what this process knows must be looked up
    /// in the log first, since another process may be ahead.
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
