internal import Channels

extension HistoryPage {
    /// The first messages whose sizes fit into this many bytes, but at least one; the rest is `more`.
    func fitting(_ bytes: Int, _ size: (Message) -> Int) -> HistoryPage {
        guard messages.count > 1 else { return self }
        var total = 0
        for (index, message) in messages.enumerated() {
            total += size(message)
            if index > 0, total > bytes {
                return HistoryPage(
                    messages: Array(messages[..<index]),
                    scanned: messages[index - 1].offset,
                    more: true,
                    gap: gap,
                    marks: marks,
                    newest: newest
                )
            }
        }
        return self
    }
}
