/// Shortens holds when many requests are held: near the bound each is held for a shorter time, so that places become
/// free before the oldest requests have to be ended early.
package enum HoldBudget {
    /// Up to half of the places the wait is unchanged; from there to the bound it falls to a tenth, but not below a
    /// second.
    package static func waitMilliseconds(asked: Int, held: Int, limit: Int) -> Int {
        let free = max(0, limit - held)
        guard free < limit - limit / 2 else { return asked }
        let half = max(1, limit - limit / 2)
        let shortened = asked / 10 + asked * 9 / 10 * free / half
        return min(asked, max(1000, shortened))
    }

    /// The seconds after which a client that was ended early may come back, randomised so that not all come back
    /// together.
    package static func retrySeconds(random: UInt32) -> Int { 2 + Int(random % 9) }
}
