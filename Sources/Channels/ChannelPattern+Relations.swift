/// Relations between two patterns.
extension ChannelPattern {
    /// One of the shortest channel names that both patterns match; nil if there is none.
    package func common(with other: ChannelPattern) -> ChannelName? {
        let (ours, theirs) = (segments, other.segments)
        if case (.literal(let one)?, .literal(let other)?) = (ours.first, theirs.first),
            one != other
        {
            return nil
        }
        let width = theirs.count + 1
        var seen = Array(repeating: false, count: (ours.count + 1) * width)
        /// The positions reached in both patterns by the segments of the name so far.
        var level = [(at: (0, 0), name: [String]())]
        while !level.isEmpty {
            var next: [(at: (Int, Int), name: [String])] = []
            var stack = level
            while let (at, name) = stack.popLast() {
                if seen[at.0 * width + at.1] { continue }
                seen[at.0 * width + at.1] = true
                if at == (ours.count, theirs.count) {
                    // If both are `**`, no segment was needed.
                    return try? ChannelName(name.isEmpty ? "x" : name.joined(separator: "/"))
                }
                let our = at.0 < ours.count ? ours[at.0] : nil
                let their = at.1 < theirs.count ? theirs[at.1] : nil
                if our == .any { stack.append(((at.0 + 1, at.1), name)) }
                if their == .any { stack.append(((at.0, at.1 + 1), name)) }
                guard let our, let their else { continue }
                let segment: String
                switch (our, their) {
                case (.literal(let one), .literal(let other)) where one != other: continue
                case (.literal(let text), _), (_, .literal(let text)): segment = text
                case (_, _): segment = "x"
                }
                let behind = (our == .any ? at.0 : at.0 + 1, their == .any ? at.1 : at.1 + 1)
                next.append((behind, name + [segment]))
            }
            level = next
        }
        return nil
    }

    /// Whether this pattern matches every channel that the other one matches.
    ///
    /// Walks the other pattern with the set of positions that this one may have reached. With many `**` this can take
    /// very long: after `stepLimit` steps the answer is true.
    package func contains(_ other: ChannelPattern, stepLimit: Int = 10_000) -> Bool {
        struct Step: Hashable {
            let their: Int
            let ours: Set<Int>
        }
        let (ours, theirs) = (segments, other.segments)
        // Segment names that do not occur in this pattern are all alike: nil.
        let literals = [String?.none] + Set(ours.compactMap(\.text)).map { $0 }
        var seen: Set<Step> = []
        var stack = [Step(their: 0, ours: Self.rests(of: ours, from: [0]))]
        while let step = stack.popLast() {
            guard seen.insert(step).inserted else { continue }
            if seen.count > stepLimit { return true }
            guard step.their < theirs.count else {
                if !step.ours.contains(ours.count) { return false }
                continue
            }
            let their = theirs[step.their]
            if their == .any { stack.append(Step(their: step.their + 1, ours: step.ours)) }
            for literal in their.text.map({ [$0] }) ?? literals {
                let behind = step.ours.filter { $0 < ours.count && ours[$0].takes(literal) }
                    .map { ours[$0] == .any ? $0 : $0 + 1 }
                stack.append(
                    Step(
                        their: their == .any ? step.their : step.their + 1,
                        ours: Self.rests(of: ours, from: Set(behind))
                    )
                )
            }
        }
        return true
    }

    /// These positions, and those after each `**` that begins there, because it may match nothing.
    private static func rests(of segments: [Segment], from places: Set<Int>) -> Set<Int> {
        var all = places
        for place in places {
            var at = place
            while at < segments.count, segments[at] == .any {
                at += 1
                all.insert(at)
            }
        }
        return all
    }
}

extension ChannelPattern.Segment {
    fileprivate var text: String? {
        if case .literal(let text) = self { text } else { nil }
    }

    fileprivate func takes(_ literal: String?) -> Bool {
        if case .literal(let text) = self { text == literal } else { true }
    }
}
