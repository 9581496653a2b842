/// A connection string, split so that each of its hosts can be tried separately.
struct ConnectionTarget {
    private var options: [(keyword: String, value: String)]
    private let takesWrites: Bool
    let hosts: Int

    /// - Throws: `.library` for a text that libpq cannot read.
    init(_ text: String, takesWrites: Bool = true) throws(PostgresError) {
        self.takesWrites = takesWrites
        options = try PostgresLibrary.options(in: text)
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
            where ["host", "hostaddr", "port"].contains(option.keyword) {
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

    private static func parts(_ list: String) -> [String] {
        list.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
}
