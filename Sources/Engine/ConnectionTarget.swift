/// A connection string, split so that each of its hosts can be tried separately.
struct ConnectionTarget {
    private var options: [PostgresLibrary.Option]
    private let takesWrites: Bool
    let hosts: Int

    /// - Throws: `.library` for a text that libpq cannot read.
    init(_ text: String, takesWrites: Bool = true) throws(PostgresError) {
        self.takesWrites = takesWrites
        let given = try PostgresLibrary.options(in: text)
        // The places that the environment or a service names, too: libpq itself would look these up.
        let places = try PostgresLibrary.effective(given).filter { Self.isPlace($0.keyword) }
        options =
            given.filter { option in !places.contains { $0.keyword == option.keyword } } + places
        hosts = max(
            1,
            options.filter { $0.keyword == "host" || $0.keyword == "hostaddr" }
                .map { Self.parts($0.value).count }.max() ?? 1
        )
    }

    func options(ofHost number: Int) -> [(keyword: String, value: String)] {
        var own = options
        if hosts > 1 {
            for (index, option) in options.enumerated()
            where Self.isPlace(option.keyword) {
                let parts = Self.parts(option.value)
                // One port applies to all hosts.
                own[index].value = parts[parts.count == 1 ? 0 : min(number, parts.count - 1)]
            }
        }
        func add(_ keyword: String, _ value: String) {
            if !own.contains(where: { $0.keyword == keyword }) { own.append((keyword, value)) }
        }
        // A standby cannot append, and its data may be behind.
        if takesWrites { add("target_session_attrs", "read-write") }
        add("application_name", "holdfast")
        add("client_encoding", "UTF8")
        return own
    }

    private static func isPlace(_ keyword: String) -> Bool {
        ["host", "hostaddr", "port"].contains(keyword)
    }

    private static func parts(_ list: String) -> [String] {
        list.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
}
