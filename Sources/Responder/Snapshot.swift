/// One figure that a process counts, with its names.
struct Figure {
    enum Kind: String { case gauge, counter, histogram }
    /// How the figures of several processes become one.
    enum Sum { case added, largest, smallest }

    /// Of Prometheus' family.
    let family: String
    let kind: Kind
    let help: String
    /// The sample's name with its labels, where that is not the family's.
    var sample: String?
    /// Where it stands in the status object, as in `ended.released`; nil: not there.
    var path: String?
    var sum = Sum.added
    /// What the value is divided by in Prometheus' text.
    var divisor: Int64 = 1
    let value: Int64
}

/// What one process says of itself: numbers that can be sent, and added up by processes that count the same.
struct Snapshot: Equatable {
    let pid: Int64
    let uptimeSeconds: Int64
    let isReady: Bool
    /// Serves the bus socket and the pipes.
    let isServing: Bool
    /// In the order of the figures.
    let values: [Int64]

    /// Eight bytes for each number; the first tells releases that count other things apart.
    func encoded(_ fingerprint: Int64) -> [UInt8] {
        let all = [fingerprint, pid, uptimeSeconds, isReady ? 1 : 0, isServing ? 1 : 0] + values
        var bytes: [UInt8] = []
        bytes.reserveCapacity(all.count * 8)
        for number in all {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: number >> Int64(shift)))
            }
        }
        return bytes
    }

    init(pid: Int64, uptimeSeconds: Int64, isReady: Bool, isServing: Bool, values: [Int64]) {
        self.pid = pid
        self.uptimeSeconds = uptimeSeconds
        self.isReady = isReady
        self.isServing = isServing
        self.values = values
    }

    /// Nil where another release wrote it.
    init?(_ bytes: [UInt8], fingerprint: Int64, count: Int) {
        guard bytes.count == (count + 5) * 8 else { return nil }
        let all = stride(from: 0, to: bytes.count, by: 8).map { at in
            Int64(bitPattern: bytes[at..<at + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        }
        guard all[0] == fingerprint else { return nil }
        (pid, uptimeSeconds, isReady, isServing) = (all[1], all[2], all[3] == 1, all[4] == 1)
        values = Array(all[5...])
    }
}

/// All processes of the bus together.
struct Overview {
    /// This process's, which has the names.
    let figures: [Figure]
    /// This process serves others; else it has come for one command, and only what it says of the log counts.
    let isService: Bool
    /// This process's first.
    let snapshots: [Snapshot]
    /// Processes that did not answer, or count other things.
    let missing: Int

    private func total(_ index: Int) -> Int64 {
        let values = snapshots.map { $0.values[index] }
        return switch figures[index].sum {
        case .added: values.reduce(0) { $0.adding($1) }
        case .largest: values.max() ?? 0
        case .smallest: values.min() ?? 0
        }
    }

    /// Prometheus' text exposition format, version 0.0.4.
    var prometheusText: String {
        var text = ""
        var family = ""
        for (index, figure) in figures.enumerated() {
            if figure.family != family {
                family = figure.family
                text +=
                    "# HELP \(family) \(figure.help)\n# TYPE \(family) \(figure.kind.rawValue)\n"
            }
            let value = total(index)
            let shown =
                figure.divisor == 1 ? "\(value)" : "\(Double(value) / Double(figure.divisor))"
            text += "\(figure.sample ?? family) \(shown)\n"
        }
        text += "# HELP holdfast_processes Processes of the bus that these figures are of.\n"
        text += "# TYPE holdfast_processes gauge\nholdfast_processes \(snapshots.count)\n"
        text += "# HELP holdfast_processes_missing Processes that did not answer.\n"
        text += "# TYPE holdfast_processes_missing gauge\nholdfast_processes_missing \(missing)\n"
        return text
    }

    /// The members of a JSON object: the figures that have a path, then the processes.
    var members: String {
        var parts: [String] = []
        var group = ""
        for (index, figure) in figures.enumerated() {
            guard let path = figure.path else { continue }
            let names = path.split(separator: ".").map(String.init)
            let member = "\"\(names[names.count - 1])\":\(total(index))"
            let own = names.count > 1 ? names[0] : ""
            if own == group, own != "" {
                parts[parts.count - 1] += ",\(member)"
            } else {
                if group != "" { parts[parts.count - 1] += "}" }
                parts.append(own == "" ? member : "\"\(own)\":{\(member)")
            }
            group = own
        }
        if group != "" { parts[parts.count - 1] += "}" }
        let held = figures.firstIndex { $0.path == "held" }
        let processes = snapshots.dropFirst(isService ? 0 : 1).map { snapshot in
            "{\"pid\":\(snapshot.pid),\"uptime_seconds\":\(snapshot.uptimeSeconds)"
                + ",\"ready\":\(snapshot.isReady),\"serves_bus\":\(snapshot.isServing)"
                + ",\"held\":\(held.map { snapshot.values[$0] } ?? 0)}"
        }
        parts.append("\"processes\":[\(processes.joined(separator: ","))]")
        parts.append("\"processes_missing\":\(missing)")
        return parts.joined(separator: ",")
    }
}

extension FixedWidthInteger {
    /// The sum, or the nearest there is: what another process says may be any number.
    func adding(_ other: Self) -> Self {
        let (sum, isBeyond) = addingReportingOverflow(other)
        return isBeyond ? (other < 0 ? .min : .max) : sum
    }

    mutating func add(_ other: Self) { self = adding(other) }
}
