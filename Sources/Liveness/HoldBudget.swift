/// How long to hold when many are held: near the bound each for a shorter time, so that places come free by themselves
/// before the oldest have to be sent away.
package enum HoldBudget {
    /// The first half of the places costs nobody anything; from there to the bound the wait falls to a tenth, but not
    /// below a second.
    package static func waitMilliseconds(asked: Int, held: Int, limit: Int) -> Int {
        let free = max(0, limit - held)
        guard free < limit - limit / 2 else { return asked }
        let half = max(1, limit - limit / 2)
        let shortened = asked / 10 + asked * 9 / 10 * free / half
        return min(asked, max(1000, shortened))
    }

    /// Seconds after which a client that was sent away early may come back, by chance so that they do not come together.
    package static func retrySeconds(random: UInt32) -> Int { 2 + Int(random % 9) }
}
