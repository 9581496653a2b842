/// The search for the least recently used connection, approximately: a hand goes round, and continues where it stopped.
struct IdleSearch {
    private var hand = 0
    private var mayFind = false

    /// There may be one again.
    mutating func begin() { mayFind = true }

    /// Goes round at most twice, since the first time may only note what has been passed.
    ///
    /// - Parameter isFound: whether the search ends at a place.
    /// - Returns: the place; nil if there is none, until `begin`.
    mutating func next(among count: Int, where isFound: (Int) -> Bool) -> Int? {
        guard mayFind else { return nil }
        for _ in 0..<2 * count {
            hand = hand + 1 < count ? hand + 1 : 0
            if isFound(hand) { return hand }
        }
        mayFind = false
        return nil
    }
}
