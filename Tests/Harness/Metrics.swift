/// A reading of `-/metrics`, Prometheus' text format: each sample by its name with labels, as written.
package struct Metrics {
    private let samples: [String: Double]

    package init(_ text: String) {
        var samples: [String: Double] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " ") else { continue }
            samples[String(line[..<space])] = Double(line[line.index(after: space)...])
        }
        self.samples = samples
    }

    /// -1 where there is no such sample, so that a misspelt name never passes for a zero.
    package subscript(name: String) -> Int { samples[name].map { Int($0) } ?? -1 }

    package var held: Int { self["holdfast_held_requests"] }
    package var connections: Int { self["holdfast_connections"] }

    package func ended(_ reason: String) -> Int {
        self["holdfast_held_ended_total{reason=\"\(reason)\"}"]
    }

    package func bound(_ name: String) -> Int {
        self["holdfast_bounds_reached_total{bound=\"\(name)\"}"]
    }

    /// All that ever ended, however.
    package var endedInAll: Int {
        samples.filter { $0.key.hasPrefix("holdfast_held_ended_total{") }.reduce(0) {
            $0 + Int($1.value)
        }
    }
}
