import Harness
import Testing

/// The members of a channel, for those that may read it.
@Suite struct PresenceEndTests {
    private static let settings = HoldfastServer.open + "[presence chat]\ngrace = 1s\n"
    private static let id = "3f0c2d9e-7c1b-4a5e"

    private func names(_ server: HoldfastServer, _ channel: String = "chat") throws -> [String] {
        try server.members(channel).compactMap { $0["name"].string }
    }

    /// Joins and leaves since a cursor, as in `join Ada`.
    private func events(_ server: HoldfastServer, since cursor: String) throws -> [String] {
        let answer = try server.get("/push/~presence/chat?since=\(cursor)")
        return try answer.json["messages"].array.map {
            "\($0["type"].string ?? "") \($0["data"]["name"].string ?? "")"
        }
    }

    @Test
    func
        `a subscriber with a name is a member, and no longer when it has left and the grace period is over`()
        throws
    {
        try HoldfastServer.with(Self.settings) { server in
            #expect(try names(server) == [])
            let snapshot = try server.get("/push/-/presence/chat").json
            let cursor = try #require(snapshot["cursor"].string)
            let peer = try server.hold("/push/chat?wait=25&name=Ada")
            try waitUntil("Ada is there") { try names(server) == ["Ada"] }
            let messages = try server.get("/push/~presence/chat?since=\(cursor)").json["messages"]
            #expect(messages[0]["type"] == "join")
            #expect(messages[0]["data"] == ["name": "Ada", "verified": false])
            peer.socket.close()
            try waitUntil("Ada has left") { try names(server) == [] }
            #expect(try events(server, since: cursor) == ["leave Ada"])
        }
    }

    @Test func `joins and leaves are delivered like any message`() throws {
        try HoldfastServer.with(Self.settings) { server in
            let watcher = try server.hold("/push/~presence/chat?wait=25")
            let peer = try server.hold("/push/chat?wait=25&name=Ada")
            let answer = try watcher.answer()
            #expect(try answer.json["messages"][0]["channel"] == "~presence/chat")
            #expect(try answer.json["messages"][0]["data"]["name"] == "Ada")
            peer.socket.close()
        }
    }

    @Test func `a subscriber that polls repeatedly neither joins nor leaves`() throws {
        // Longer than a busy machine may take between two polls.
        let settings = HoldfastServer.open + "[presence chat]\ngrace = 10m\n"
        try HoldfastServer.with(settings) { server in
            let cursor = try server.cursor("~presence/chat")
            for number in 1...10 {
                let peer = try server.hold("/push/chat?wait=25&name=Ada&subscriber=\(Self.id)")
                try server.publish("chat", "\(number)")
                #expect(try peer.answer().status == 200)
            }
            try waitUntil("Ada is there") { try names(server) == ["Ada"] }
            #expect(try events(server, since: cursor) == ["join Ada"])
        }
    }

    @Test func `a subscriber that announces its departure has left at once`() throws {
        let settings = HoldfastServer.open + "[presence chat]\ngrace = 10m\n"
        try HoldfastServer.with(settings) { server in
            let peer = try server.hold("/push/chat?wait=25&name=Ada&subscriber=\(Self.id)")
            try waitUntil("Ada is there") { try names(server) == ["Ada"] }
            #expect(try server.post("/push/-/leave", "subscriber=\(Self.id)").status == 204)
            #expect(try peer.answer().status == 200)
            try waitUntil("Ada has left") { try names(server) == [] }
        }
    }

    @Test func `the web server's user is reported as verified`() throws {
        try HoldfastServer.with(Self.settings) { server in
            let peer = try server.peer()
            try peer.send(
                FastCGIRequest(
                    "GET",
                    "/push/chat?wait=25&name=root",
                    params: [("HOLDFAST_USER", "ada")]
                )
            )
            try waitUntil("ada is there") { try names(server) == ["ada"] }
            let member = try server.get("/push/-/presence/chat").json["members"][0]
            #expect(member["verified"] == true)
            #expect(member["since"].string?.hasSuffix("Z") == true)
        }
    }

    @Test func `without a section, presence is off`() throws {
        try HoldfastServer.with(Self.settings) { server in
            let cursor = try server.cursor("~presence/news")
            let peer = try server.hold("/push/news?wait=25&name=Ada")
            let answer = try server.get("/push/-/presence/news")
            #expect(answer.status == 404)
            #expect(try answer.json["code"] == "presence_off")
            #expect(try server.get("/push/~presence/news?since=\(cursor)").json["messages"] == [])
            peer.socket.close()
        }
    }

    @Test func `polls that ask nothing filled the log and its channels`() throws {
        let settings = HoldfastServer.open + "[presence rooms/**]\ngrace = 1s\n"
        try HoldfastServer.with(settings) { server in
            #expect(try names(server, "rooms/1") == [])
            let before = try server.status()["log"]["head"].number ?? -1
            for number in 1...20 {
                let rooms = (0..<64).map { "rooms/\(number)/\($0)" }.joined(separator: ",")
                for query in ["since=now", "", "since=first&wait=0"] {
                    let answer = try server.get("/push/\(rooms)?name=x&\(query)")
                    #expect(answer.status == 200)
                }
            }
            // Behind whatever there would be.
            try server.publish("last", "1")
            #expect(try server.status()["log"]["head"].number == before + 1)
            let listing = try server.get(
                "/push/-/channels",
                params: [("HOLDFAST_OPERATOR", "1")]
            )
            #expect(try listing.json["channels"].array.map { $0["channel"].string } == ["last"])
            #expect(try names(server, "rooms/1/0") == [])
        }
    }

    @Test func `a member whose polls are answered at once has not left`() throws {
        let settings = HoldfastServer.open + "[presence chat]\ngrace = 3s\n"
        try HoldfastServer.with(settings) { server in
            let cursor = try server.cursor("~presence/chat")
            try server.publish("chat", "1")
            let held = try server.hold("/push/chat?wait=25&name=Ada&subscriber=\(Self.id)")
            let other = try server.hold("/push/chat?wait=25&name=Bob")
            try waitUntil("both are there") { try names(server) == ["Ada", "Bob"] }
            other.socket.close()
            // For longer than the grace period, each of these is answered with a message.
            while try names(server) != ["Ada"] {
                let target = "/push/chat?wait=25&name=Ada&subscriber=\(Self.id)&since=first"
                #expect(try server.get(target).json["messages"].array.count == 1)
            }
            // That Bob has left stands in the place of his join.
            #expect(try events(server, since: cursor) == ["join Ada", "leave Bob"])
            _ = try held.answer()
        }
    }

    @Test func `a member that moves from a process killed with -9 to another remains present`()
        throws
    {
        let settings = HoldfastServer.open + "[presence chat]\ngrace = 5s\n"
        try HoldfastGroup.with(2, settings) { group in
            let cursor = try group[0].cursor("~presence/chat")
            let first = try group[0].hold("/push/chat?wait=25&name=Ada&subscriber=\(Self.id)")
            try waitUntil("both know it") {
                try group.servers.allSatisfy { try names($0) == ["Ada"] }
            }
            try group[0].kill()
            first.socket.close()
            let second = try group[1].hold("/push/chat?wait=1&name=Ada&subscriber=\(Self.id)")
            #expect(try second.answer().status == 200)
            #expect(try names(group[1]) == ["Ada"])
            #expect(try events(group[1], since: cursor) == ["join Ada"])
            // No process has this member any more, and only one knows that.
            try waitUntil("Ada has left", seconds: 60) { try names(group[1]) == [] }
            #expect(try events(group[1], since: cursor) == ["leave Ada"])
        }
    }

    @Test
    func `members that were present when all processes were killed leave when one comes back`()
        throws
    {
        try HoldfastServer.with(Self.settings) { server in
            let peer = try server.hold("/push/chat?wait=25&name=Ada")
            try waitUntil("Ada is there") { try names(server) == ["Ada"] }
            try server.kill()
            peer.socket.close()
            try server.start()
            try waitUntil("it knows what the log has told") { try names(server) == ["Ada"] }
            try waitUntil("Ada has left", seconds: 60) { try names(server) == [] }
        }
    }

    @Test func `what the log has told of a hundred members is known to a process that comes later`()
        throws
    {
        let settings = HoldfastServer.open + "[presence chat]\ngrace = 10m\n"
        try HoldfastGroup.with(2, settings) { group in
            try group[1].stop()
            let peers = try (0..<100).map { number in
                let peer = try group[0].peer()
                try peer.send(FastCGIRequest("GET", "/push/chat?wait=25&name=member\(number)"))
                return peer
            }
            try waitUntil("they are there") { try names(group[0]).count == 100 }
            try group[1].start()
            try waitUntil("the other knows it") { try names(group[1]).count == 100 }
            for peer in peers { peer.socket.close() }
        }
    }

    @Test func `a stream that takes its time to read is present, and its life ends meanwhile too`()
        throws
    {
        let settings =
            HoldfastServer.open + "stream_life = 4s\n[presence news]\ngrace = 1s\n"
        try HoldfastServer.with(settings) { server in
            let text = String(repeating: "x", count: 20_000)
            for _ in 1...100 { try server.publish("news", text) }
            let slow = try server.peer(receiveBuffer: 4096)
            try slow.send(.events("/push/news?since=first&name=slow"))
            try waitUntil("slow is there") {
                try server.members("news").count == 1
            }
            // Longer than the grace period.
            #expect(try server.get("/push/other?wait=2").status == 200)
            #expect(try server.members("news").count == 1)
            // Longer than the rest of its life.
            #expect(try server.get("/push/other?wait=6").status == 200)
            #expect(try slow.answer().text.contains(#""reason":"lifetime""#))
        }
    }

    @Test func `presence that is switched off and on again knows its members`() throws {
        let on = HoldfastServer.open + "[presence chat]\ngrace = 1s\n"
        try HoldfastServer.with(on) { server in
            func names() throws -> [String] {
                try server.members("chat").compactMap { $0["name"].string }
            }
            let stays = try server.hold("/push/chat?wait=55&name=stays")
            let goes = try server.hold("/push/chat?wait=55&name=goes")
            try waitUntil("both are there") { try names().sorted() == ["goes", "stays"] }
            try server.writeSettings(HoldfastServer.open)
            server.reload()
            try waitUntil("it is off") { try server.get("/push/-/presence/chat").status == 404 }
            goes.socket.close()
            try server.waitForHeld(1)
            try server.writeSettings(on)
            server.reload()
            try waitUntil("who has gone has left", seconds: 60) { try names() == ["stays"] }
            stays.socket.close()
        }
    }
}
