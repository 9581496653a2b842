internal import Bus
internal import Endpoint
internal import Text

/// The report of one process: numbers that can be sent, and added up by processes that count the same.
struct Snapshot: Equatable {
    let pid: Int64
    let uptimeSeconds: Int64
    let isReady: Bool
    /// Whether it serves the bus socket and the pipes.
    let isServing: Bool
    /// In the order of `Figure.all`.
    let values: [Int64]
    /// Empty if it was not asked for.
    let history: [FigureHistory.Slot]

    /// Eight bytes for each number; the first distinguishes releases that count other things.
    var encoded: [UInt8] {
        let head = [Figure.fingerprint, pid, uptimeSeconds, isReady ? 1 : 0, isServing ? 1 : 0]
        let slots = history.flatMap { [$0.number] + $0.values }
        var bytes: [UInt8] = []
        bytes.reserveCapacity((head.count + values.count + slots.count) * 8)
        for number in head + values + slots {
            bytes.append(bigEndian: UInt64(bitPattern: number))
        }
        return bytes
    }

    init(
        pid: Int64,
        uptimeSeconds: Int64,
        isReady: Bool,
        isServing: Bool,
        values: [Int64],
        history: [FigureHistory.Slot] = []
    ) {
        self.pid = pid
        self.uptimeSeconds = uptimeSeconds
        self.isReady = isReady
        self.isServing = isServing
        self.values = values
        self.history = history
    }

    /// Nil if another release wrote it.
    init?(_ bytes: [UInt8]) {
        let fixed = Figure.all.count + 5
        let slot = FigureHistory.figures.count + 1
        guard bytes.count >= fixed * 8, (bytes.count - fixed * 8).isMultiple(of: slot * 8),
            bytes.count <= (fixed + FigureHistory.slotLimit * slot) * 8
        else { return nil }
        let all = stride(from: 0, to: bytes.count, by: 8).map { at in
            Int64(bitPattern: UInt64(bigEndianBytes: bytes[at..<at + 8]))
        }
        guard all[0] == Figure.fingerprint else { return nil }
        (pid, uptimeSeconds, isReady, isServing) = (all[1], all[2], all[3] == 1, all[4] == 1)
        values = Array(all[5..<fixed])
        history = stride(from: fixed, to: all.count, by: slot).map { at in
            FigureHistory.Slot(number: all[at], values: Array(all[at + 1..<at + slot]))
        }
    }
}

/// The reports of all processes of the bus.
struct Overview {
    /// Whether this process is a service; otherwise it runs for one command, and only its report on the log counts.
    let isService: Bool
    /// The one of this process is the first.
    let snapshots: [Snapshot]
    /// Processes that did not answer, or count other things.
    let missing: Int

    /// Nil if no process knows it, or if it is a sum and one process does not.
    func total(_ index: Int) -> Int64? {
        let values = snapshots.map { $0.values[index] }
        let known = values.filter { $0 >= 0 }
        guard !known.isEmpty else { return nil }
        return switch Figure.all[index].sum {
        case .added: known.count < values.count ? nil : known.reduce(0) { $0.adding($1) }
        case .largest: known.max()
        case .smallest: known.min()
        }
    }

    /// The same for a figure by the name of its sample.
    func total(ofSample name: String) -> Int64? {
        Figure.all.firstIndex { $0.sample == name }.flatMap(total)
    }

    /// All figures as text of this format. The formats differ in the name of a counter's family, in the unit and in the
    /// end.
    func text(_ format: MetricsFormat) -> String {
        var text = ""
        func open(_ family: String, _ kind: String, _ help: String, _ unit: Figure.Unit? = nil) {
            let isTotal = format == .prometheus && kind == Figure.Kind.counter.rawValue
            let name = isTotal ? family + "_total" : family
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
            if format == .openMetrics, let unit { text += "# UNIT \(name) \(unit)\n" }
        }
        var family = ""
        for (index, figure) in Figure.all.enumerated() {
            guard let value = total(index) else { continue }
            if figure.family != family {
                family = figure.family
                open(family, figure.kind.rawValue, figure.help, figure.unit)
            }
            let shown =
                figure.divisor == 1 ? "\(value)" : "\(Double(value) / Double(figure.divisor))"
            text += "\(figure.sample) \(shown)\n"
        }
        open("holdfast_processes", "gauge", "Processes of the bus that these figures cover.")
        text += "holdfast_processes \(snapshots.count)\n"
        open("holdfast_processes_missing", "gauge", "Processes that did not answer.")
        text += "holdfast_processes_missing \(missing)\n"
        let build = "1 with the version of the process that answered."
        switch format {
        case .prometheus: open("holdfast_build_info", "gauge", build)
        case .openMetrics: open("holdfast_build", "info", build)
        }
        text += "holdfast_build_info{version=\"\(Version.current)\"} 1\n"
        if format == .openMetrics { text += "# EOF\n" }
        return text
    }

    /// Appends members of a JSON object: the figures that have a path and are known, then the processes.
    func appendMembers(to bytes: inout [UInt8], engine: EngineFigures? = nil, now: Int64 = 0) {
        let values = Figure.all.indices.map { total($0) }
        let shown = snapshots.dropFirst(isService ? 0 : 1)
        // What a command's own process knows of the engine does not belong to the service.
        let known = Figure.all.indices.filter {
            values[$0] != nil
                && !(shown.isEmpty && Figure.all[$0].path?.hasPrefix("engine.") == true)
        }
        Figure.append(known, to: &bytes) { index, bytes in
            bytes.append(decimal: Int(values[index] ?? 0))
        } closing: { group, bytes in
            guard group == "engine", let engine else { return }
            EngineReport(
                figures: engine,
                canPublish: total(ofSample: "holdfast_engine_publishing") == 1,
                canFollow: total(ofSample: "holdfast_engine_following").map { $0 == 1 },
                applied: total(ofSample: "holdfast_engine_applied"),
                lagGroups: total(ofSample: "holdfast_engine_lag_groups"),
                now: now
            ).appendMembers(to: &bytes)
        }
        let held = Figure.all.firstIndex { $0.path == "held" }
        bytes.append(member: "processes")
        bytes.openArray()
        for snapshot in shown {
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

extension Figure {
    /// Appends a member for each of these figures that has a path.
    ///
    /// - Parameters:
    ///   - indices: in `all`.
    ///   - appendValue: appends the value of the figure with this index.
    ///   - closing: appends further members to the group of this name.
    static func append(
        _ indices: some Sequence<Int>,
        to bytes: inout [UInt8],
        appendValue: (Int, inout [UInt8]) -> Void,
        closing: (String, inout [UInt8]) -> Void = { _, _ in }
    ) {
        let figures = indices.compactMap { index in
            all[index].path.map {
                (index: index, names: $0.split(separator: ".").map(String.init))
            }
        }
        var groups: Set<String> = []
        for figure in figures {
            let name = figure.names[0]
            guard figure.names.count == 2 else {
                bytes.append(memberNamed: name)
                appendValue(figure.index, &bytes)
                continue
            }
            // A group has the place of its first figure, with all of them.
            guard groups.insert(name).inserted else { continue }
            bytes.append(memberNamed: name)
            bytes.openObject()
            for member in figures where member.names.count == 2 && member.names[0] == name {
                bytes.append(memberNamed: member.names[1])
                appendValue(member.index, &bytes)
            }
            closing(name, &bytes)
            bytes.closeObject()
        }
    }
}

extension FixedWidthInteger {
    /// The sum, or the nearest number: another process may report any number.
    func adding(_ other: Self) -> Self {
        let (sum, isBeyond) = addingReportingOverflow(other)
        return isBeyond ? (other < 0 ? .min : .max) : sum
    }

    mutating func add(_ other: Self) { self = adding(other) }
}
