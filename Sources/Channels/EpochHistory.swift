/// The stretches of the log's history, oldest first; each begins where its predecessor stopped being trusted.
///
/// A new one begins when the log is made, when it turns out to be older than what was already told to
/// somebody, and after a reboot that may have lost commits. A cursor (e,o) still means what it meant when it
/// was given iff o lies below the start of the epoch after e.
package struct EpochHistory: Equatable, Sendable {
    package struct Stretch: Equatable, Sendable {
        package let epoch: Epoch
        /// The first offset given out in this epoch.
        package let start: Offset

        package init(epoch: Epoch, start: Offset) {
            self.epoch = epoch
            self.start = start
        }
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
        /// The cursor's epoch was left before its offset, or is not ours: what it stood for is not here.
        /// Continue with everything from `resume` on.
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
        guard index + 1 < stretches.count else {
            return cursor.offset <= head ? .valid(cursor.offset) : .future
        }
        let next = stretches[index + 1].start
        return cursor.offset < next
            ? .valid(cursor.offset) : .restarted(resume: next.previous)
    }
}
