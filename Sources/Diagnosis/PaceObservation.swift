/// How fast requests that are sent together are held.
package struct PaceObservation: Sendable {
    /// When each of them was held, ascending; fewer than were sent if some were not held.
    package let milliseconds: [Int]
    package let count: Int
    package let patienceSeconds: Int

    package init(milliseconds: [Int], count: Int = 5, patienceSeconds: Int = 30) {
        self.milliseconds = milliseconds
        self.count = count
        self.patienceSeconds = patienceSeconds
    }

    /// A single gap may be an accident; two are not.
    private static let fewestGaps = 2
    private static let gapMilliseconds = 500

    /// Nil if they are held as they arrive.
    package func finding(behind servers: ServerChain) -> Finding? {
        if !milliseconds.isEmpty, milliseconds.count < count, servers.server == .apache {
            // Behind other servers, the rest may be held on another machine.
            return problem(
                "Of \(count) requests sent together only \(milliseconds.count) were held within \(patienceSeconds) s: "
                    + "the server uses a process for each, and has too few",
                servers
            )
        }
        let gaps = zip(milliseconds.dropFirst(), milliseconds).map(-)
        guard gaps.count(where: { $0 >= Self.gapMilliseconds }) >= Self.fewestGaps,
            let last = milliseconds.last, let first = milliseconds.first
        else { return nil }
        let tenths = (last - first) / 100
        return problem(
            "Of \(milliseconds.count) requests sent together the last was held \(tenths / 10).\(tenths % 10) s "
                + "after the first: the server starts them one by one",
            servers
        )
    }

    private func problem(_ sentence: String, _ servers: ServerChain) -> Finding {
        Finding(.pace, .problem, sentence + ".", Remedy.beginsSlowly.advice(for: servers))
    }
}
