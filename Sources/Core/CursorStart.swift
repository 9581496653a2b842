internal import Channels

/// Where a poll or a stream that comes with a cursor continues: one verdict for both.
enum CursorStart: Equatable {
    /// After this offset; what is missing there is reported as a gap.
    case after(Offset, gap: GapReason?)
    /// This process may be behind the log, so the log is asked before the cursor is called unknown.
    case lookAhead

    /// - Parameters:
    ///   - isFinal: the log was asked whether it has more than this process knows, or that does not matter: the verdict
    ///     is final.
    ///   - unissued: the reason given for a cursor beyond the log's end.
    init(
        _ cursor: Cursor,
        in epochs: EpochHistory,
        head: Offset,
        isFinal: Bool,
        unissued: @autoclosure () -> GapReason = .future
    ) {
        switch epochs.verdict(on: cursor, head: head) {
        case .valid(let offset): self = .after(offset, gap: nil)
        case .future where isFinal: self = .after(head, gap: unissued())
        // Epochs that are not known here yet come after those that are: for a known one, the verdict is final.
        case .restarted(let resume) where isFinal || epochs.knows(cursor.epoch):
            self = .after(resume, gap: .restarted)
        case .future, .restarted: self = .lookAhead
        }
    }
}

extension HistoryStart {
    /// No more than one answer takes is read ahead.
    func bounded(_ messages: Int) -> HistoryStart {
        if case .last(let count) = self { .last(min(count, messages)) } else { self }
    }
}
