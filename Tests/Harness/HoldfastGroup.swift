/// Several Holdfast processes on one bus, each with its own socket for web servers.
package final class HoldfastGroup {
    package let directory: TestDirectory
    package private(set) var servers: [HoldfastServer] = []

    package var busSocket: String { directory.file("bus.sock") }
    package let busDirectory: String

    /// Starts none of them.
    ///
    /// - Parameter disk: where the log is to be; nil: in the group's own directory.
    package init(
        _ count: Int,
        _ settings: String = HoldfastServer.open,
        disk: SmallDisk? = nil
    ) throws {
        directory = try TestDirectory()
        busDirectory = disk.map { "\($0.path)/bus" } ?? directory.file("bus")
        let bus = [
            "directory = \(busDirectory)", "socket = \(directory.file("bus.sock"))",
            "reserve_bytes = 1M",
        ]
        for _ in 0..<count {
            servers.append(try HoldfastServer(settings, bus: bus))
        }
    }

    package static func with<Result>(
        _ count: Int,
        _ settings: String = HoldfastServer.open,
        disk: SmallDisk? = nil,
        _ body: (HoldfastGroup) throws -> Result
    ) throws -> Result {
        let group = try HoldfastGroup(count, settings, disk: disk)
        do {
            // All at once, so that they race for what there is to be made.
            for server in group.servers { try server.launch() }
            for server in group.servers { try server.waitUntilReady() }
            try group.waitUntilAcquainted()
            let result = try body(group)
            for server in group.servers { try server.finish() }
            return result
        } catch {
            let logs = group.servers.map { $0.log.suffix(2000) }.joined(separator: "\n--\n")
            throw HarnessError("\(error)\nlogs:\n\(logs)")
        }
    }

    /// Until each has had an answer from all others; what one tells the others is heard from then on.
    package func waitUntilAcquainted() throws {
        for server in servers {
            try waitUntil("\(servers.count) processes know each other") {
                try server.metrics()["holdfast_processes"] == servers.count
            }
        }
    }

    package subscript(index: Int) -> HoldfastServer { servers[index] }

    /// A client of the bus socket, once a process serves it.
    package func busClient() throws -> LineClient {
        try waitFor("the bus socket") { try? LineClient(busSocket) }
    }

    /// The one that serves the bus, by what it says itself.
    package func serving() throws -> HoldfastServer {
        let status = try busClient().ask("status")
        let pid = status["processes"].array.first { $0["serves_bus"] == true }?["pid"].number
        guard let server = servers.first(where: { $0.process.map { Double($0.pid) } == pid }) else {
            throw HarnessError("no process of ours serves the bus: \(status)")
        }
        return server
    }
}
