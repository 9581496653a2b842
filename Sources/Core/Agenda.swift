internal import DequeModule

/// What continues in the next turn of the loop, because its share of this one is used up or what it waited for has
/// come.
struct Agenda {
    enum Item {
        /// A bus client's commands that have come, or a web server's requests that queue. Each connection is here once:
        /// `Connection.Flags.goesOn`.
        case connection(ConnectionID)
        /// A stream that reads the log.
        case replay(Replay)
    }

    private var items: Deque<Item> = []
    /// Streams that would go on while the core is about to be handed over.
    private var resting: [Replay] = []

    var isEmpty: Bool { items.isEmpty }
    var count: Int { items.count }

    mutating func append(_ item: Item) { items.append(item) }

    /// It continues in this turn.
    mutating func putBack(_ item: Item) { items.prepend(item) }

    mutating func next() -> Item? { items.popFirst() }

    /// It goes on only if the core is not handed over.
    mutating func rest(_ replay: Replay) { resting.append(replay) }

    /// Nothing is handed over: what has rested goes on.
    mutating func goOn() {
        for replay in resting { items.append(.replay(replay)) }
        resting = []
    }
}
