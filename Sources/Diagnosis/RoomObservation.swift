/// How many requests nginx can hold, according to a file on this machine.
package struct RoomObservation: Sendable {
    /// Connections of each worker.
    package let connections: Int
    package let workers: Int
    /// How many requests Holdfast can hold.
    package let wanted: Int
    /// Where that was read; the nginx that answers may have been started with another file.
    package let file: String

    package init(connections: Int, workers: Int, wanted: Int, file: String) {
        self.connections = connections
        self.workers = workers
        self.wanted = wanted
        self.file = file
    }

    /// Reads nginx's configuration; the built-in values apply if it sets none.
    package init(configuration: String, processors: Int, wanted: Int, file: String) {
        func value(_ name: String) -> String? {
            for line in configuration.split(whereSeparator: \.isNewline) {
                let words = line.prefix { $0 != "#" }
                    .split(whereSeparator: { " \t;{}".contains($0) })
                guard let at = words.firstIndex(where: { $0 == name }), at + 1 < words.count else {
                    continue
                }
                return String(words[at + 1])
            }
            return nil
        }
        let workers = value("worker_processes")
        self.init(
            connections: value("worker_connections").flatMap { Int($0) } ?? 512,
            workers: workers == "auto" ? processors : workers.flatMap { Int($0) } ?? 1,
            wanted: wanted,
            file: file
        )
    }

    /// Nil if nginx can hold as many requests as Holdfast.
    package func finding(behind servers: ServerChain) -> Finding? {
        // One connection to the client and one to Holdfast.
        let room = connections * workers / 2
        guard room < wanted else { return nil }
        return Finding(
            .room,
            .note,
            "By \(file), nginx has room for \(room) held requests, Holdfast for \(wanted): worker_connections is "
                + "\(connections), for each of \(workers) workers, and a held request takes two.",
            Remedy.hasFewConnections.advice(for: ServerChain(.nginx))
        )
    }
}
