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
}
