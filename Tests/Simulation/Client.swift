import Channels

/// A program that uses the service: over HTTP behind one of the front ends, or on the bus socket.
struct Client {
    enum Kind { case poller, streamer, publisher, reader, bus, classic }

    let number: Int
    let kind: Kind
    let frontEnd: Int
    let channels: [Int]
    let subscriber: Int?
    let address: Int
    let member: Int?
    /// Where it continues.
    var cursor: Cursor?
    var call: Int?
    var nextAt: Int64 = 0
    /// Its publication with a key of which it has not been told that it is committed.
    var unacknowledged: Int?
    /// The cookie of the endpoint that keeps the cursor in one.
    var cookieName: String?
    /// The page that it looks at again and again.
    var visit: Visit?
    /// Its connection to the bus socket.
    var bus: (process: Int, place: Int)?

    init(_ number: Int, _ plan: Plan, _ chance: inout Chance) {
        self.number = number
        let kinds: [Kind] = [
            .poller, .poller, .poller, .poller, .streamer, .streamer, .publisher, .publisher,
            .reader, .bus, .classic,
        ]
        // At least one of them sends something.
        kind = number == 0 ? .publisher : chance.one(of: kinds) ?? .poller
        frontEnd = plan.frontEnd ?? chance.below(FrontEnd.all.count)
        var channels: [Int] = []
        for _ in 0..<(chance.happens(600) ? 1 : chance.between(2, 3)) {
            let channel = chance.below(Plan.openCount + (chance.happens(100) ? 4 : 0))
            // Only the two rooms have presence.
            let usable =
                channel < Plan.openCount
                ? channel : Plan.openCount + Plan.presenceChannels[channel % 2]
            if !channels.contains(usable) { channels.append(usable) }
        }
        self.channels = channels
        // Some ids are shared by two tabs.
        subscriber = chance.happens(500) ? chance.below(6) : nil
        address = chance.happens(30) ? -1 : chance.below(4)
        member = chance.happens(400) ? chance.below(Plan.memberNames.count) : nil
    }

    /// Its request has ended; it comes back after a while.
    mutating func finish(_ now: Int64, _ chance: inout Chance) {
        call = nil
        nextAt = now + Int64(chance.happens(700) ? chance.below(50) : chance.below(5000))
    }
}

/// A kind of web server, as far as it matters to a responder.
struct FrontEnd {
    enum Habit {
        /// Closes the connection of a client that has left.
        case closes
        case halfCloses
        case aborts
        /// Notices a departure only when it has sent something in vain.
        case hides
        /// Uses the connection for another client at once.
        case reuses
    }

    let software: String
    let isForwarded: Bool
    let keeps: Bool
    let multiplexes: Bool
    let habit: Habit
    /// Sends the next request before the last one was answered, with the same id.
    var isRude = false

    static let all: [FrontEnd] = [
        .init(
            software: "nginx/1.28.0",
            isForwarded: false,
            keeps: true,
            multiplexes: false,
            habit: .closes
        ),
        .init(
            software: "lighttpd/1.4.79",
            isForwarded: false,
            keeps: false,
            multiplexes: false,
            habit: .halfCloses
        ),
        .init(
            software: "Apache/2.4.62",
            isForwarded: false,
            keeps: true,
            multiplexes: false,
            habit: .hides
        ),
        .init(
            software: "ids/1",
            isForwarded: false,
            keeps: true,
            multiplexes: true,
            habit: .aborts
        ),
        .init(
            software: "pipe/1",
            isForwarded: false,
            keeps: true,
            multiplexes: false,
            habit: .reuses,
            isRude: true
        ),
        .init(
            software: "nginx/1.28.0",
            isForwarded: true,
            keeps: false,
            multiplexes: false,
            habit: .hides
        ),
        .init(
            software: "",
            isForwarded: false,
            keeps: false,
            multiplexes: false,
            habit: .closes
        ),
        .init(
            software: "pipe/2",
            isForwarded: false,
            keeps: true,
            multiplexes: false,
            habit: .halfCloses,
            isRude: true
        ),
    ]
}
