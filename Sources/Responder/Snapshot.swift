internal import Text

/// What one process says of itself: numbers that can be sent, and added up by processes that count the same.
struct Snapshot: Equatable {
    let pid: Int64
    let uptimeSeconds: Int64
    let isReady: Bool
    /// Serves the bus socket and the pipes.
    let isServing: Bool
    /// In the order of `Figure.all`.
    let values: [Int64]

    /// Eight bytes for each number; the first tells releases that count other things apart.
    var encoded: [UInt8] {
        let head = [Figure.fingerprint, pid, uptimeSeconds, isReady ? 1 : 0, isServing ? 1 : 0]
        var bytes: [UInt8] = []
        bytes.reserveCapacity((head.count + values.count) * 8)
        for number in head + values {
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
    init?(_ bytes: [UInt8]) {
        guard bytes.count == (Figure.all.count + 5) * 8 else { return nil }
        let all = stride(from: 0, to: bytes.count, by: 8).map { at in
            Int64(bitPattern: bytes[at..<at + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        }
        guard all[0] == Figure.fingerprint else { return nil }
        (pid, uptimeSeconds, isReady, isServing) = (all[1], all[2], all[3] == 1, all[4] == 1)
        values = Array(all[5...])
    }
}

/// All processes of the bus together.
struct Overview {
    /// This process serves others; else it has come for one command, and only what it says of the log counts.
    let isService: Bool
    /// This process's first.
    let snapshots: [Snapshot]
    /// Processes that did not answer, or count other things.
    let missing: Int

    private func total(_ index: Int) -> Int64 {
        let values = snapshots.map { $0.values[index] }
        return switch Figure.all[index].sum {
        case .added: values.reduce(0) { $0.adding($1) }
        case .largest: values.max() ?? 0
        case .smallest: values.min() ?? 0
        }
    }

    /// Prometheus' text exposition format, version 0.0.4.
    var prometheusText: String {
        var text = ""
        var family = ""
        for (index, figure) in Figure.all.enumerated() {
            if figure.family != family {
                family = figure.family
                text +=
                    "# HELP \(family) \(figure.help)\n# TYPE \(family) \(figure.kind.rawValue)\n"
            }
            let value = total(index)
            let shown =
                figure.divisor == 1 ? "\(value)" : "\(Double(value) / Double(figure.divisor))"
            text += "\(figure.sample) \(shown)\n"
        }
        text += "# HELP holdfast_processes Processes of the bus that these figures are of.\n"
        text += "# TYPE holdfast_processes gauge\nholdfast_processes \(snapshots.count)\n"
        text += "# HELP holdfast_processes_missing Processes that did not answer.\n"
        text += "# TYPE holdfast_processes_missing gauge\nholdfast_processes_missing \(missing)\n"
        return text
    }

    /// Appends members of a JSON object: the figures that have a path, then the processes.
    func appendMembers(to bytes: inout [UInt8]) {
        let figures = Figure.all.enumerated().compactMap { index, figure in
            figure.path.map { (index: index, names: $0.split(separator: ".").map(String.init)) }
        }
        var groups: Set<String> = []
        for figure in figures {
            let name = figure.names[0]
            guard figure.names.count == 2 else {
                bytes.append(memberNamed: name)
                bytes.append(decimal: Int(total(figure.index)))
                continue
            }
            // A group stands where its first figure does, with all of them.
            guard groups.insert(name).inserted else { continue }
            bytes.append(memberNamed: name)
            bytes.openObject()
            for member in figures where member.names.count == 2 && member.names[0] == name {
                bytes.append(memberNamed: member.names[1])
                bytes.append(decimal: Int(total(member.index)))
            }
            bytes.closeObject()
        }
        let held = Figure.all.firstIndex { $0.path == "held" }
        bytes.append(member: "processes")
        bytes.openArray()
        for snapshot in snapshots.dropFirst(isService ? 0 : 1) {
            bytes.beginElement()
            bytes.openObject()
            bytes.append(member: "pid", Int(snapshot.pid))
            bytes.append(member: "uptime_seconds", Int(snapshot.uptimeSeconds))
            bytes.append(member: "ready", snapshot.isReady)
            bytes.append(member: "serves_bus", snapshot.isServing)
            bytes.append(member: "held", held.map { Int(snapshot.values[$0]) } ?? 0)
            bytes.closeObject()
        }
        bytes.closeArray()
        bytes.append(member: "processes_missing", missing)
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
