internal import Channels

/// Where a poll or a stream goes on that comes with a cursor: one verdict for both.
enum CursorStart: Equatable {
    /// After this offset; what is missing there is to be told as a gap.
    case after(Offset, gap: GapReason?)
    /// This process may be behind the log, which is asked before the cursor is called unknown.
    case lookAhead

    /// - Parameters:
    ///   - isFinal: the log was asked whether it knows more than this process, or that does not matter: the verdict
    ///     stands.
    ///   - unissued: what is told of a cursor behind the log's end.
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
        // Epochs that are not known here yet come after those that are: of a known one, the verdict stands.
        case .restarted(let resume) where isFinal || epochs.knows(cursor.epoch):
            self = .after(resume, gap: .restarted)
        case .future, .restarted: self = .lookAhead
        }
    }
}

extension HistoryStart {
    /// More than one answer takes is never read ahead.
    func bounded(_ messages: Int) -> HistoryStart {
        if case .last(let count) = self { .last(min(count, messages)) } else { self }
    }
}
