import Harness
import Testing

/// Machines of one site: a directory and processes each.
enum SiteMachines {
    /// - Parameter engine: further lines of [engine].
    static func section(_ options: String, engine: String...) -> String {
        HoldfastServer.open + "[engine]\npostgresql = \(options)\nconnect_timeout = 5s\n"
            + engine.map { "\($0)\n" }.joined()
    }

    /// Makes the schema by the first machine, and all of them parts of the site.
    static func joined(_ count: Int, _ options: String) throws -> [HoldfastServer] {
        let machines = try (0..<count).map { _ in try HoldfastServer(section(options)) }
        let made = try machines[0].command("engine", "init", "--run", "--name", "the site")
        #expect(made.exit == .exited(0), "\(made.error)")
        for (number, machine) in machines.enumerated() {
            let joined = try machine.command("engine", "join", "--name", "machine-\(number)")
            #expect(joined.exit == .exited(0), "\(joined.error)")
            #expect(joined.output.contains("the site"))
        }
        return machines
    }

    /// Starts them, and stops them afterwards.
    static func run(_ machines: [HoldfastServer], _ body: () throws -> Void) throws {
        do {
            for machine in machines { try machine.start() }
            try body()
            for machine in machines { try machine.finish() }
        } catch {
            let logs = machines.map { "\($0.log.suffix(3000))" }.joined(separator: "\n--\n")
            throw HarnessError("\(error)\nlogs:\n\(logs)")
        }
    }

    /// Publishes once, as a publisher does that is told to repeat with its key; returns the id.
    @discardableResult
    static func publish(_ machine: HoldfastServer, _ text: String) throws -> String {
        try waitFor("\(text) is published") {
            let fields = ["Idempotency-Key": text.replacing(" ", with: "-")]
            let answer = try machine.post("/push/news", text, fields: fields)
            return answer.status / 100 == 2 ? try answer.json["id"].string : nil
        }
    }

    static func texts(_ answer: HTTPAnswer) throws -> [String] {
        try answer.json["messages"].array.compactMap { $0["data"].string }
    }
}
