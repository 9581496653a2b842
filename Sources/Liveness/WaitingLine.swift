internal import DequeModule

/// A queue of distinct elements in order of arrival. An element that leaves early loses its place.
struct WaitingLine<Element: Hashable & Sendable>: Sendable {
    private var order: Deque<(ticket: Int, element: Element)> = []
    /// The valid tickets: `order` also contains elements that have left early.
    private var tickets: [Element: Int] = [:]
    private var lastTicket = 0

    var isEmpty: Bool { tickets.isEmpty }

    func contains(_ element: Element) -> Bool { !isEmpty && tickets[element] != nil }

    var first: Element? {
        mutating get {
            while let (ticket, element) = order.first {
                if tickets[element] == ticket { return element }
                order.removeFirst()
            }
            // A deque that was long once would keep its memory.
            order = []
            return nil
        }
    }

    /// Appends an element; one that is in the queue already keeps its place.
    mutating func append(_ element: Element) {
        guard tickets[element] == nil else { return }
        lastTicket += 1
        tickets[element] = lastTicket
        order.append((lastTicket, element))
    }

    mutating func remove(_ element: Element) {
        guard !isEmpty, tickets.removeValue(forKey: element) != nil else { return }
        // Compacts the queue, so that most of its entries are valid however often elements come and leave.
        guard order.count > 2 * tickets.count + 64 else { return }
        order.removeAll { tickets[$0.element] != $0.ticket }
    }
}
