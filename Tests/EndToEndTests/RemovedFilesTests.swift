import Glibc
import Harness
import Testing

/// Files of the log are removed under several processes that work on it.
@Suite struct RemovedFilesTests {
    private func remove(_ suffixes: [String], _ group: HoldfastGroup) throws {
        for suffix in suffixes { try Files.remove("\(group.busDirectory)/log.sqlite\(suffix)") }
    }

    private func texts(_ server: HoldfastServer, since cursor: String) throws -> [String] {
        var texts: [String] = []
        var since = cursor
        while true {
            let answer = try server.get("/push/news?since=\(since)").json
            #expect(answer["gap"] == .null)
            texts += answer["messages"].array.map { $0["data"].string ?? "?" }
            since = answer["cursor"].string ?? ""
            if answer["more"] != true { return texts }
        }
    }

    @Test(arguments: [["-wal"], ["-shm"], ["-wal", "-shm"]])
    func `two processes acknowledged into different write-ahead logs`(suffixes: [String]) throws {
        try HoldfastGroup.with(2) { group in
            let cursor = try group[0].cursor("news")
            var published: [String] = []
            func publish(_ count: Int) throws {
                for _ in 0..<count {
                    try group[published.count % 2].publish("news", "\(published.count)")
                    published.append("\(published.count)")
                }
            }
            try publish(20)
            try remove(suffixes, group)
            try publish(20)
            // The other one first.
            try remove(suffixes, group)
            try group[1].publish("news", "\(published.count)")
            published.append("\(published.count)")
            try publish(20)
            for server in group.servers { #expect(try texts(server, since: cursor) == published) }
            for server in group.servers { #expect(try server.stop() == .exited(0)) }
            for server in group.servers { try server.start() }
            for server in group.servers { #expect(try texts(server, since: cursor) == published) }
        }
    }

    @Test
    func `a process that starts after the files were removed waits for one that has them open`()
        throws
    {
        try HoldfastGroup.with(2) { group in
            let cursor = try group[0].cursor("news")
            try group[1].stop()
            let published = (0..<20).map { "\($0)" }
            for text in published { try group[0].publish("news", text) }
            try remove(["-wal", "-shm"], group)
            try group[1].start()
            for server in group.servers { #expect(try texts(server, since: cursor) == published) }
        }
    }

    @Test func `a file wake that was copied over killed all processes`() throws {
        try HoldfastGroup.with(2) { group in
            let cursor = try group[0].cursor("news")
            let held = try group[1].hold("/push/news?wait=25&since=\(cursor)")
            try group.directory.write("", to: "bus/wake")
            try group[0].publish("news", "1")
            #expect(try held.answer().status == 200)
            try group[1].publish("news", "2")
            for server in group.servers {
                #expect(try texts(server, since: cursor) == ["1", "2"])
            }
        }
    }
}
