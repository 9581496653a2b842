/// How fast requests begin that come together.
package struct PaceObservation: Sendable {
    /// When each of them was held, ascending; fewer than were sent where not all of them were.
    package let milliseconds: [Int]
    package let count: Int
    package let patienceSeconds: Int

    package init(milliseconds: [Int], count: Int = 5, patienceSeconds: Int = 30) {
        self.milliseconds = milliseconds
        self.count = count
        self.patienceSeconds = patienceSeconds
    }

    /// Two gaps are no accident.
    private static let fewestGaps = 2
    private static let gapMilliseconds = 500

    /// Nil where they begin as they come.
    package func finding(behind way: Way) -> Finding? {
        if !milliseconds.isEmpty, milliseconds.count < count, way.server == .apache {
            // Behind other servers the rest may be held on another machine.
            return problem(
                "Of \(count) requests that came together only \(milliseconds.count) were held within \(patienceSeconds) s: "
                    + "the server has a process for each, and too few",
                way
            )
        }
        let gaps = zip(milliseconds.dropFirst(), milliseconds).map(-)
        guard gaps.count(where: { $0 >= Self.gapMilliseconds }) >= Self.fewestGaps,
            let last = milliseconds.last, let first = milliseconds.first
        else { return nil }
        let tenths = (last - first) / 100
        return problem(
            "Of \(milliseconds.count) requests that came together the last was held \(tenths / 10).\(tenths % 10) s "
                + "after the first: the server begins them one by one",
            way
        )
    }

    private func problem(_ sentence: String, _ way: Way) -> Finding {
        Finding(.pace, .problem, sentence + ".", Remedy.beginsSlowly.advice(for: way))
    }
}
