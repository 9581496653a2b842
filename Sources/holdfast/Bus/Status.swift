internal import BusClient
internal import Text

/// The service's status, for people.
struct Status {
    let held: Int
    let deliveries: Int
    let requests: Int
    let messages: Int
    let connections: Int
    let clients: Int
    /// Reasons with their counts; those that never occurred are left out.
    let endings: [(name: String, count: Int)]
    let bounds: [(name: String, count: Int)]
    private let lines: [(String, String)]
    private let processes: [JSONValue]
    /// Nil if this machine is a bus of its own.
    let site: SiteStatus?

    init(_ answer: BusAnswer) {
        func number(_ name: String, in group: String? = nil) -> Int {
            (group.map { answer[$0]?[name] } ?? answer[name])?.integer ?? 0
        }
        func counts(_ name: String) -> [(name: String, count: Int)] {
            (answer[name]?.members ?? []).map { ($0.name, $0.value.integer ?? 0) }
                .filter { $0.1 > 0 }.sorted { $0.0 < $1.0 }
        }
        (held, deliveries, requests) = (number("held"), number("deliveries"), number("requests"))
        messages = number("messages", in: "log")
        (connections, clients) = (number("connections"), number("bus_clients"))
        (endings, bounds) = (counts("ended"), counts("bounds_reached"))
        processes = answer["processes"]?.elements ?? []
        site = answer["engine"].map(SiteStatus.init)
        let missing = number("processes_missing")
        func list(_ counts: [(name: String, count: Int)]) -> String {
            counts.isEmpty ? "-" : counts.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
        }
        let tokens = ["verified", "remembered", "refused"].map { number($0, in: "tokens") }
        let links = ["verified", "refused"].map { number($0, in: "links") }
        let epoch = answer["epoch"]?.string ?? "?"
        let head = String(number("head", in: "log"), radix: 16)
        lines =
            [
                ("version", answer["version"]?.string ?? "?"),
                (
                    "processes",
                    "\(processes.count)" + (missing > 0 ? " (\(missing) do not answer)" : "")
                ),
                ("held", "\(held)"), ("deliveries", "\(deliveries)"), ("requests", "\(requests)"),
                ("ended", list(endings)), ("bounds reached", list(bounds)),
                ("connections", "\(connections) FastCGI, \(clients) bus"),
                (
                    "channels",
                    "\(number("channels", in: "log")) remembered, \(number("kept", in: "log")) messages kept"
                ),
                ("messages", "\(messages) published, newest at \(epoch)-\(head)"),
                (
                    "pipes",
                    "\(number("lines", in: "pipes")) lines, \(number("refusals", in: "pipes")) refused"
                ),
            ]
            + (tokens + links == [0, 0, 0, 0, 0]
                ? []
                : [
                    (
                        "tokens",
                        "\(tokens[0]) verified, \(tokens[1]) known already, \(tokens[2]) refused"
                    ),
                    ("links", "\(links[0]) verified, \(links[1]) refused"),
                    ("refused for", list(counts("refused_credentials"))),
                ])
            + (site?.lines ?? [])
    }

    /// Whether this status counts the same processes as an earlier one, all of them running since then.
    func counts(theSameAs earlier: Status) -> Bool {
        func uptimes(_ status: Status) -> [Int: Int] {
            status.processes.reduce(into: [:]) {
                $0[$1["pid"]?.integer ?? 0] = $1["uptime_seconds"]?.integer ?? 0
            }
        }
        let (now, then) = (uptimes(self), uptimes(earlier))
        return now.count == then.count
            && now.allSatisfy { pid, seconds in then[pid].map { $0 <= seconds } ?? false }
    }

    /// The lines that are shown when no process runs.
    private static let ofLog: Set = ["version", "channels", "messages"]

    var text: [String] {
        let width = lines.map(\.0.count).max() ?? 0
        let facts = lines.filter { !processes.isEmpty || Self.ofLog.contains($0.0) }.map {
            name,
            value in
            name + String(repeating: " ", count: width + 2 - name.count) + value
        }
        let rows = processes.map { process in
            [
                "\(process["pid"]?.integer ?? 0)", "\(process["held"]?.integer ?? 0)",
                Self.duration(process["uptime_seconds"]?.integer ?? 0),
                (process["ready"]?.boolean == true ? "ready" : "not ready")
                    + (process["serves_bus"]?.boolean == true ? ", serves the bus" : ""),
            ]
        }
        if processes.isEmpty { return facts }
        return facts + [""] + Table.lines(["PROCESS", "HELD", "UP", "STATE"], rows)
            + (site.map { [""] + $0.table } ?? [])
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
