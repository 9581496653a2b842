import Harness
import Testing

/// Hold and deliver, through the web servers as conf/ sets them up.
@Suite(.enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"))
struct DeliveryTests {
    @Test(arguments: Front.allCases)
    func `a held poll gets the message that another client publishes`(front: Front) throws {
        try front.with { web, holdfast in
            let waiting = try WaitingClient(front.version, "/push/news?wait=25", through: web)
            try holdfast.waitForHeld(1)
            let published = try web.post(
                "/push/news",
                #"{"n":1,"text":"grüß"}"#,
                ["Content-Type": "application/json"]
            )
            #expect(published.status == 201)
            let answer = try waiting.answer()
            #expect(answer.status == 200)
            let message = try answer.json["messages"][0]
            #expect(message["data"] == ["n": 1, "text": "grüß"])
            let id = try published.json["id"]
            #expect(message["id"] == id)
            try holdfast.waitForHeld(0)
            #expect(try holdfast.metrics().ended("released") == 1)
        }
    }

    @Test(arguments: Front.allCases)
    func `a wait that runs out is answered 200 and empty`(front: Front) throws {
        try front.with { web, holdfast in
            let cursor = try holdfast.cursor("news")
            let waiting = try WaitingClient(
                front.version,
                "/push/news?wait=1&since=\(cursor)",
                through: web
            )
            let answer = try waiting.answer()
            #expect(answer.status == 200)
            #expect(try answer.json["messages"] == [])
            #expect(try answer.json["cursor"].string == cursor)
            #expect(answer["Cache-Control"] == "no-store")
        }
    }

    @Test(arguments: Front.allCases)
    func `one message reaches all held requests`(front: Front) throws {
        try front.with { web, holdfast in
            let waiting = try (1...20).map { number in
                try WaitingClient(front.version, "/push/news?wait=25&n=\(number)", through: web)
            }
            try holdfast.waitForHeld(20)
            try holdfast.publish("news", "to all")
            for client in waiting {
                #expect(try client.answer().json["messages"][0]["data"] == "to all")
            }
            try holdfast.waitForHeld(0)
        }
    }

    @Test(arguments: [Front.nginx, .nginxUnkept, .lighttpd])
    func `a client that follows its cursor misses nothing and sees nothing twice`(front: Front)
        throws
    {
        try front.with { web, holdfast in
            let client = try HTTPClient(port: web.port)
            var cursor = try client.get("/push/news").json["cursor"].string ?? ""
            var got: [String] = []
            var sent = 0
            while got.count < 60 {
                // Sometimes before the poll, sometimes while it is held, sometimes several at once.
                if sent < 60, sent % 3 == 0 {
                    for _ in 0..<2 {
                        sent += 1
                        try holdfast.publish("news", "m\(sent)")
                    }
                }
                try client.send("GET", "/push/news?wait=25&since=\(cursor)")
                if sent < 60, sent == got.count || sent % 3 != 0 {
                    sent += 1
                    try holdfast.publish("news", "m\(sent)")
                }
                let answer = try client.answer().json
                #expect(answer["gap"] == .null)
                got += answer["messages"].array.map { $0["data"].string ?? "?" }
                cursor = answer["cursor"].string ?? ""
            }
            #expect(got == (1...60).map { "m\($0)" })
        }
    }

    @Test(arguments: [Front.nginx, .lighttpd])
    func `a large message arrives whole`(front: Front) throws {
        let limits = "[limits]\nmessage_bytes = 900k\n"
        try front.with(HoldfastServer.open + limits) { web, holdfast in
            let text = String(repeating: "0123456789abcde\n", count: 50_000)
            let published = try web.post("/push/news", text)
            #expect(published.status == 201)
            #expect(try web.get("/push/news?since=first&format=bare").text == text)
        }
    }

    @Test(arguments: [WebServer.Kind.nginx, .lighttpd])
    func `a chunked body is published`(kind: WebServer.Kind) throws {
        try HoldfastServer.with { holdfast in
            try WebServer.with(kind, before: holdfast) { web throws in
                let client = try HTTPClient(port: web.port)
                try client.send(
                    "POST",
                    "/push/news",
                    ["Transfer-Encoding": "chunked", "Content-Type": "text/plain"],
                    body: Array("5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n".utf8)
                )
                #expect(try client.answer().status == 201)
                let message = try holdfast.get("/push/news?since=first").json["messages"][0]
                #expect(message["data"] == "hello, world")
            }
        }
    }

    @Test func `Holdfast is reached over TCP as well`() throws {
        for listen in [HoldfastServer.Listen.tcp, .tcp6] {
            try HoldfastServer.with(listen: listen) { holdfast in
                try WebServer.with(.nginx, before: holdfast) { web throws in
                    let waiting = try WaitingClient(.http1, "/push/news?wait=25", through: web)
                    try holdfast.waitForHeld(1)
                    try holdfast.publish("news", "hello")
                    #expect(try waiting.answer().json["messages"][0]["data"] == "hello")
                }
            }
        }
    }
}
