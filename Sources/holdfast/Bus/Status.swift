internal import BusClient

/// The service's status, for people.
struct Status {
    let held: Int
    let deliveries: Int
    let requests: Int
    let messages: Int
    let connections: Int
    let clients: Int
    /// Reason and count, those that never happened left out.
    let endings: [(name: String, count: Int)]
    let bounds: [(name: String, count: Int)]
    private let lines: [(String, String)]
    private let processes: [[String: Any]]

    init(_ answer: BusAnswer) {
        func number(_ name: String) -> Int { answer[name] ?? 0 }
        func counts(_ name: String) -> [(name: String, count: Int)] {
            let counts: [String: Int] = answer[name] ?? [:]
            return counts.filter { $0.value > 0 }.sorted { $0.key < $1.key }
                .map { ($0.key, $0.value) }
        }
        let log: [String: Any] = answer["log"] ?? [:]
        let pipes: [String: Int] = answer["pipes"] ?? [:]
        (held, deliveries, requests) = (number("held"), number("deliveries"), number("requests"))
        messages = log["messages"] as? Int ?? 0
        (connections, clients) = (number("connections"), number("bus_clients"))
        (endings, bounds) = (counts("ended"), counts("bounds_reached"))
        processes = answer["processes"] ?? []
        let missing = number("processes_missing")
        func list(_ counts: [(name: String, count: Int)]) -> String {
            counts.isEmpty ? "-" : counts.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
        }
        let (version, epoch): (String?, String?) = (answer["version"], answer["epoch"])
        lines = [
            ("version", version ?? "?"),
            (
                "processes",
                "\(processes.count)" + (missing > 0 ? " (\(missing) do not answer)" : "")
            ),
            ("held", "\(held)"), ("deliveries", "\(deliveries)"), ("requests", "\(requests)"),
            ("ended", list(endings)), ("bounds reached", list(bounds)),
            ("connections", "\(connections) FastCGI, \(clients) bus"),
            (
                "channels",
                "\(log["channels"] as? Int ?? 0) remembered, \(log["kept"] as? Int ?? 0) messages kept"
            ),
            (
                "messages",
                "\(messages) published, newest at \(epoch ?? "?")-\(String(log["head"] as? Int ?? 0, radix: 16))"
            ),
            ("pipes", "\(pipes["lines"] ?? 0) lines, \(pipes["refusals"] ?? 0) refused"),
        ]
    }

    /// Whether the same processes are counted as in an earlier status, each of them alive since.
    func counts(theSameAs earlier: Status) -> Bool {
        func uptimes(_ status: Status) -> [Int: Int] {
            status.processes.reduce(into: [:]) {
                $0[$1["pid"] as? Int ?? 0] = $1["uptime_seconds"] as? Int ?? 0
            }
        }
        let (now, then) = (uptimes(self), uptimes(earlier))
        return now.count == then.count
            && now.allSatisfy { pid, seconds in then[pid].map { $0 <= seconds } ?? false }
    }

    var text: [String] {
        let width = lines.map(\.0.count).max() ?? 0
        let facts = lines.map { name, value in
            name + String(repeating: " ", count: width + 2 - name.count) + value
        }
        let rows = processes.map { process in
            [
                "\(process["pid"] as? Int ?? 0)", "\(process["held"] as? Int ?? 0)",
                Self.duration(process["uptime_seconds"] as? Int ?? 0),
                (process["ready"] as? Bool ?? false ? "ready" : "not ready")
                    + (process["serves_bus"] as? Bool ?? false ? ", serves the bus" : ""),
            ]
        }
        return facts + [""] + Table.lines(["PROCESS", "HELD", "UP", "STATE"], rows)
    }

    static func duration(_ seconds: Int) -> String {
        switch seconds {
        case ..<60: "\(seconds)s"
        case ..<3600: "\(seconds / 60)m\(seconds % 60)s"
        case ..<86_400: "\(seconds / 3600)h\(seconds / 60 % 60)m"
        default: "\(seconds / 86_400)d\(seconds / 3600 % 24)h"
        }
    }
}
