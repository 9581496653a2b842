import Glibc
import Harness
import Testing

/// Letting go: a client that leaves costs nothing any more, the moment the web server shows it.
@Suite(.enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"))
struct DepartureTests {
    enum Departure: CaseIterable { case close, reset, halfClose }

    /// An endpoint for crowds, which take their time to gather on a busy machine: its holds outlast that.
    private static let patient =
        HoldfastServer.open + """
            [endpoint /sub]
            action = subscribe
            channels = news
            wait = 1h

            """

    private func patience(_ front: Front) -> [(String, String)] {
        front.kind == .nginx ? [("fastcgi_read_timeout 75s;", "fastcgi_read_timeout 1h;")] : []
    }

    @Test(arguments: [Front.nginx, .nginxUnkept, .lighttpd], Departure.allCases)
    func `a departed client is released at once`(front: Front, departure: Departure) throws {
        try front.with { web, holdfast in
            let client = try HTTPClient(port: web.port)
            try client.send("GET", "/push/news?wait=25")
            try holdfast.waitForHeld(1)
            // Lighttpd watches the client once it has sent it something.
            if front.kind == .lighttpd { #expect(try client.head().status == 200) }
            switch departure {
            case .close: client.socket.close()
            case .reset: client.socket.reset()
            case .halfClose: client.socket.halfClose()
            }
            try holdfast.waitForHeld(0)
            let metrics = try holdfast.metrics()
            #expect(metrics.ended("closed") == 1)
            #expect(metrics.endedInAll == 1)
        }
    }

    @Test func `behind lighttpd a client that only closed its sending side got half an answer`()
        throws
    {
        try Front.lighttpd.with { web, holdfast in
            let client = try HTTPClient(port: web.port)
            try client.send("GET", "/push/news?wait=25")
            let head = try client.head()
            #expect(head.status == 200)
            client.socket.halfClose()
            let answer = try JSON(client.body(after: head))
            #expect(answer["messages"] == [])
            #expect(answer["cursor"].string?.isEmpty == false)
            try holdfast.waitForHeld(0)
            #expect(try holdfast.metrics().ended("closed") == 1)
        }
    }

    @Test(
        .enabled(if: Tool.usable(.python), "python3 is not installed"),
        arguments: [Front.nginxHTTP2, .lighttpdHTTP2]
    )
    func `an HTTP/2 stream that is reset is released, and its connection lives`(front: Front) throws
    {
        try front.with { web, holdfast in
            let client = try ResettingClient(web)
            let first = try client.get("/push/news?wait=25")
            let second = try client.get("/push/news?wait=25")
            try holdfast.waitForHeld(2)
            try client.reset(first)
            try holdfast.waitForHeld(1)
            try holdfast.publish("news", "hello")
            #expect(try client.status(second) == 200)
            #expect(try holdfast.metrics().ended("closed") == 1)
            #expect(try holdfast.metrics().ended("released") == 1)
        }
    }

    @Test(arguments: [Front.nginx, .nginxUnkept, .lighttpd])
    func `two thousand clients that come and go leave nothing behind`(front: Front) throws {
        // Two descriptors each in the web server, one here and one in Holdfast.
        let count = min(2000, Place.raiseDescriptorLimit() / 4)
        try front.with(Self.patient, edits: patience(front)) { web, holdfast in
            #expect(try web.get("/push/news").status == 200)
            let descriptors = holdfast.openDescriptors
            for round in 1...2 {
                let clients = try (0..<count).map { _ in
                    let client = try HTTPClient(port: web.port)
                    try client.send("GET", "/sub")
                    return client
                }
                try holdfast.waitForHeld(count)
                #expect(holdfast.openDescriptors >= count)
                for client in clients {
                    if front.kind == .lighttpd { _ = try client.head() }
                    client.socket.close()
                }
                try holdfast.waitForHeld(0)
                #expect(try holdfast.metrics().ended("closed") == round * count)
                try waitUntil("descriptors return to \(descriptors)") {
                    holdfast.openDescriptors <= descriptors
                }
            }
            let metrics = try holdfast.metrics()
            #expect(metrics["holdfast_holds_total"] == metrics.endedInAll)
        }
    }

    @Test(.enabled(if: Tool.usable(.python), "python3 is not installed"))
    func `ten thousand clients leave at once, and the others get their messages meanwhile`() throws
    {
        let count = min(10_000, Place.raiseDescriptorLimit() / 2 / 500 * 500)
        try Front.nginx.with(Self.patient, edits: patience(.nginx)) { web, holdfast in
            let crowd = try ChildProcess(
                try Tool.python.path,
                [
                    "\(Place.root)/Tests/EndToEndTests/Support/crowd.py", "\(web.port)", "\(count)",
                    "/sub",
                ],
                name: "crowd",
                directory: holdfast.directory,
                input: .pipe
            )
            for batch in stride(from: 500, through: count, by: 500) {
                #expect(write(crowd.input, "\n", 1) == 1)
                try holdfast.waitForHeld(batch)
            }
            var cursor = try holdfast.cursor("others")
            crowd.signal(SIGKILL)
            var rounds = 0
            repeat {
                rounds += 1
                let client = try HTTPClient(port: web.port)
                try client.send("GET", "/push/others?wait=25&since=\(cursor)")
                try holdfast.publish("others", "m\(rounds)")
                let answer = try client.answer().json
                #expect(answer["messages"].array.map { $0["data"] } == [.string("m\(rounds)")])
                cursor = try #require(answer["cursor"].string)
            } while try holdfast.metrics().held > 0
            #expect(try holdfast.metrics().ended("closed") == count)
            try waitUntil("their connections are gone") { try holdfast.metrics().connections < 20 }
        }
    }

    @Test(arguments: [Front.nginx, .nginxUnkept, .lighttpd])
    func `a thousand held requests get one message, and every hold ends once`(front: Front) throws {
        let count = min(1000, Place.raiseDescriptorLimit() / 4)
        try front.with(Self.patient, edits: patience(front)) { web, holdfast in
            let clients = try (0..<count).map { _ in
                let client = try HTTPClient(port: web.port)
                try client.send("GET", "/sub")
                return client
            }
            try holdfast.waitForHeld(count)
            // Some leave in the same moment as the message comes.
            for client in clients.prefix(100) { client.socket.close() }
            try holdfast.publish("news", "hello")
            for client in clients.dropFirst(100) {
                #expect(try client.answer().json["messages"][0]["data"] == "hello")
            }
            try holdfast.waitForHeld(0)
            let metrics = try holdfast.metrics()
            #expect(metrics.endedInAll == count)
            #expect(metrics.ended("released") + metrics.ended("closed") == count)
        }
    }
}
