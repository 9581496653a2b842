import Harness
import Testing

/// A suite of tests with machines of one site: a directory and processes each.
protocol SiteMachines {}

extension SiteMachines {
    /// - Parameter engine: further lines of [engine].
    static func section(_ options: String, engine: String...) -> String {
        HoldfastServer.open + "[engine]\npostgresql = \(options)\nconnect_timeout = 5s\n"
            + engine.map { "\($0)\n" }.joined()
    }

    /// Makes the schema by the first machine, and all of them parts of the site.
    func joined(_ count: Int, _ options: String) throws -> [HoldfastServer] {
        let machines = try (0..<count).map { _ in try HoldfastServer(Self.section(options)) }
        let made = try machines[0].command("engine", "init", "--run", "--name", "the site")
        #expect(made.exit == .exited(0), "\(made.error)")
        for (number, machine) in machines.enumerated() {
            let joined = try machine.command("engine", "join", "--name", "machine-\(number)")
            #expect(joined.exit == .exited(0), "\(joined.error)")
            #expect(joined.output.contains("the site"))
        }
        return machines
    }

    /// Starts those that do not run, and stops all afterwards.
    func run(_ machines: [HoldfastServer], _ body: () throws -> Void) throws {
        do {
            for machine in machines where machine.process == nil { try machine.start() }
            try body()
            for machine in machines { try machine.finish() }
        } catch {
            let logs = machines.map { "\($0.log.suffix(3000))" }.joined(separator: "\n--\n")
            throw HarnessError("\(error)\nlogs:\n\(logs)")
        }
    }

    /// Publishes once, as a publisher does that is told to repeat with its key; returns the id.
    @discardableResult
    func publish(_ machine: HoldfastServer, _ text: String) throws -> String {
        try waitFor("\(text) is published") {
            let fields = ["Idempotency-Key": text.replacing(" ", with: "-")]
            let answer = try machine.post("/push/news", text, fields: fields)
            return answer.status / 100 == 2 ? try answer.json["id"].string : nil
        }
    }

    func texts(_ answer: HTTPAnswer) throws -> [String] {
        try answer.json["messages"].array.compactMap { $0["data"].string }
    }
}
