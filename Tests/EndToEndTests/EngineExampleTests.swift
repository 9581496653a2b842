import Harness
import Testing

/// Whether the examples' programs and their modules are there.
private enum Clients {
    /// In CI it is not asked: there the tests run, and fail where something is missing.
    static let isUsable: Bool =
        Tool.isCI
        || succeeds(.python, ["-c", "import psycopg"])
            && succeeds(.php, ["-r", "exit(extension_loaded('pdo_pgsql') ? 0 : 1);"])

    private static func succeeds(_ tool: Tool, _ arguments: [String]) -> Bool {
        guard let path = tool.installed, let directory = try? TestDirectory() else { return false }
        return (try? ChildProcess.run(path, arguments, directory: directory).exit) == .exited(0)
    }
}

/// conf/examples/sql, as people would run it: programs that publish inside their own transaction.
@Suite(
    .enabled(if: PostgreSQL.isUsable, "PostgreSQL is not installed"),
    .enabled(
        if: Clients.isUsable,
        "php, python3, php-pgsql or python3-psycopg is not installed"
    )
)
struct EngineExampleTests {
    private static let files = "\(Place.root)/conf/examples/sql"

    @Test(arguments: ["py", "php"])
    func `the page shows the examples as they are`(ending: String) {
        let text = Files.text("\(Self.files)/order.\(ending)")
        #expect(!text.isEmpty)
        let page = Documentation.examples(in: "conf/doc/several-machines.md")
        #expect(page.map(\.text).contains(text))
    }

    private func holdfast(_ machine: HoldfastServer, _ arguments: String...) throws {
        let run = try ChildProcess.run(
            try Place.holdfast,
            arguments + ["--config", machine.iniFile],
            directory: machine.directory
        )
        #expect(run.exit == .exited(0), "\(run.error)")
    }

    @Test(arguments: [Tool.python, .php])
    func `what a transaction publishes is delivered if it commits`(tool: Tool) throws {
        let directory = try TestDirectory()
        let server = try PostgreSQL(directory: directory)
        let machine = try HoldfastServer(
            HoldfastServer.open + "[engine]\npostgresql = \(server.options)\nconnect_timeout = 5s\n"
        )
        try holdfast(machine, "engine", "init", "--run", "--name", "the shop")
        try holdfast(machine, "engine", "join")
        try server.sql(Files.text("\(Self.files)/stock.sql"))
        try machine.start()

        /// Returns what the program wrote to stderr.
        func order(_ items: String..., status: Int32 = 0) throws -> String {
            let run = try ChildProcess.run(
                tool.path,
                ["\(Self.files)/order.\(tool == .php ? "php" : "py")"]
                    + ["host=\(server.path) dbname=postgres user=shop"] + items,
                directory: directory
            )
            #expect(run.exit == .exited(status), "\(run.error)")
            return run.error
        }
        /// As many messages as are published after the cursor, or more.
        func told(_ count: Int, _ cursor: inout String) throws -> [String] {
            var told: [String] = []
            while told.count < count {
                let answer = try machine.get("/push/stock?since=\(cursor)&wait=25").json
                let messages = answer["messages"].array
                guard !messages.isEmpty, answer["gap"] == .null else {
                    throw HarnessError("\(told), then \(answer)")
                }
                cursor = try #require(answer["cursor"].string)
                for message in messages {
                    let product = try #require(message["data"]["product"].string)
                    told.append("\(product) \(Int(try #require(message["data"]["left"].number)))")
                }
            }
            return told
        }
        var cursor = "first"
        _ = try order("tea=3", "cups=1")
        #expect(try told(2, &cursor) == ["tea 7", "cups 3"])

        // The second product fails the transaction, after the first was told.
        let refused = try order("tea=2", "cups=9", status: 1)
        #expect(refused.contains("nothing is ordered") && refused.contains("stock_quantity_check"))
        #expect(try order("tea=2", "plates=1", status: 1).contains("no product plates"))
        let stock =
            "SELECT string_agg(product || ' ' || quantity, ', ' ORDER BY product) FROM stock"
        #expect(try server.sql(stock) == "cups 3, tea 7")

        // What comes next is the next that subscribers see.
        _ = try order("cups=1")
        #expect(try told(1, &cursor) == ["cups 2"])
        #expect(try server.sql("SELECT last_offset FROM holdfast.head") == "3")
        // The product is the topic: a later client sees what is left of each now.
        var first = "first"
        #expect(try told(2, &first) == ["tea 7", "cups 2"])

        // Without the right to publish the order fails, too.
        try server.sql("REVOKE holdfast_publisher FROM shop")
        #expect(try order("tea=1", status: 1).contains("permission denied"))
        #expect(try server.sql(stock) == "cups 2, tea 7")
        try machine.finish()
    }
}
