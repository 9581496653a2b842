/// Whether the peer at the bus socket only ever closes connections: then it is no bus, and a client that has waited as
/// long as it wanted gives up. A process that serves a bus closes one when it is killed, and another takes its place.
struct Silence {
    private var closings = 0
    private var hasSpoken = false

    /// More than happens where processes come and go.
    var isEvident: Bool { closings >= 3 && !hasSpoken }

    /// A connection ended before anything came.
    mutating func closed() { closings += 1 }

    /// Something came.
    mutating func end() { hasSpoken = true }
}
