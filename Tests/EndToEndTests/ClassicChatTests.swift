import Harness
import Testing

/// The classic chat works unchanged, with conf/chat.ini and the web servers' configurations as they are.
@Suite(.enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"))
struct ClassicChatTests {
    private func with(
        _ kind: WebServer.Kind,
        _ body: (WebServer, HoldfastServer) throws -> Void
    ) throws {
        try HoldfastServer.withChat { holdfast, ports in
            try WebServer.with(kind, before: holdfast, ports: ports) { try body($0, holdfast) }
        }
    }

    private let form = ["Content-Type": "application/x-www-form-urlencoded"]

    @Test(arguments: WebServer.Kind.usual)
    func `a poll of sub gets the form that was posted to pub`(kind: WebServer.Kind) throws {
        try with(kind) { web, holdfast in
            let waiting = try WaitingClient(.http1, "/sub", through: web)
            try holdfast.waitForHeld(1)
            let sent = try web.post("/pub", "nick=Ann&message=h%C3%A9+%3Cb%3E", form)
            #expect((200..<300).contains(sent.status))
            #expect(try sent.json["status"] == "sent")
            let got = try waiting.answer()
            #expect(got.status == 200)
            #expect(got["Content-Type"]?.hasPrefix("application/json") == true)
            #expect(try got.json == ["nick": "Ann", "message": "hé <b>"])
        }
    }

    @Test(arguments: WebServer.Kind.usual)
    func `with its cookie a page loses nothing between two polls`(kind: WebServer.Kind) throws {
        try with(kind) { web, holdfast in
            let waiting = try WaitingClient(.http1, "/sub", through: web)
            try holdfast.waitForHeld(1)
            for number in 1...5 { _ = try web.post("/pub", "nick=Ann&message=\(number)", form) }
            var answer = try waiting.answer()
            for number in 1...5 {
                #expect(try answer.json["message"].string == "\(number)")
                let cookie = try #require(answer["Set-Cookie"])
                #expect(cookie.contains("HttpOnly"))
                #expect(cookie.contains("Path=/sub"))
                let pair = String(cookie.prefix { $0 != ";" })
                if number < 5 { answer = try web.get("/sub", ["Cookie": pair]) }
            }
        }
    }

    @Test(arguments: WebServer.Kind.usual)
    func `without a cookie a poll begins now`(kind: WebServer.Kind) throws {
        try with(kind) { web, holdfast in
            _ = try web.post("/pub", "nick=Ann&message=earlier", form)
            let waiting = try WaitingClient(.http1, "/sub", through: web)
            try holdfast.waitForHeld(1)
            _ = try web.post("/pub", "nick=Ann&message=now", form)
            #expect(try waiting.answer().json["message"] == "now")
        }
    }

    /// An error's fields pass every server, and its body, too.
    @Test(
        .enabled(if: Tool.usable(.apache, .haproxy, .caddy), "a web server is not installed"),
        arguments: WebServer.Kind.fastCGI
    )
    func `behind any server a wait that ran out is an error with the cookie`(
        kind: WebServer.Kind
    ) throws {
        let settings = """
            [endpoint /push/sub]
            action = subscribe
            channels = chat
            cursor = cookie
            format = bare
            wait = 1s
            on_timeout = 503

            """
        try HoldfastServer.with(HoldfastServer.open + settings) { holdfast in
            try WebServer.with(kind, before: holdfast) { web in
                let nothing = try web.get("/push/sub")
                #expect(nothing.status == 503)
                #expect(try nothing.json["code"] == "nothing_new")
                let cookie = try #require(nothing["Set-Cookie"]).prefix { $0 != ";" }
                // What comes while no request waits.
                try holdfast.publish("chat", "between two polls")
                let answer = try web.get("/push/sub", ["Cookie": String(cookie)])
                #expect(answer.status == 200)
                #expect(answer.text == "between two polls")
            }
        }
    }

    @Test(arguments: WebServer.Kind.usual)
    func `debug tells how many poll`(kind: WebServer.Kind) throws {
        try with(kind) { web, holdfast in
            #expect(try web.get("/debug").text == "polling = 0")
            let waiting = try (1...3).map { _ in try WaitingClient(.http1, "/sub", through: web) }
            try holdfast.waitForHeld(3)
            #expect(try web.get("/debug").text == "polling = 3")
            _ = try web.post("/pub", "nick=Ann&message=x", form)
            for client in waiting { #expect(try client.answer().status == 200) }
            #expect(try web.get("/debug").text == "polling = 0")
        }
    }

    @Test(arguments: WebServer.Kind.usual)
    func `a page from one port may poll the other`(kind: WebServer.Kind) throws {
        try with(kind) { web, holdfast in
            #expect(try web.get("/").text.contains("Classic chat"))
            let page = "http://127.0.0.1:\(web.port)"
            let client = try HTTPClient(port: web.secondPort)
            try client.send("GET", "/sub", ["Origin": page])
            try holdfast.waitForHeld(1)
            _ = try web.post("/pub", "nick=Ann&message=x", form)
            let answer = try client.answer()
            #expect(answer["Access-Control-Allow-Origin"] == page)
            #expect(answer["Access-Control-Allow-Credentials"] == "true")
            #expect(answer["Vary"]?.contains("Origin") == true)
            let stranger = try HTTPClient.exchange(
                "GET",
                "/debug",
                ["Origin": "http://evil.example"],
                port: web.secondPort
            )
            #expect(stranger["Access-Control-Allow-Origin"] == nil)
        }
    }

    @Test func `behind nginx a page that is left is released at once`() throws {
        try with(.nginx) { web, holdfast in
            let client = try HTTPClient(port: web.port)
            try client.send("GET", "/sub")
            try holdfast.waitForHeld(1)
            client.socket.close()
            try holdfast.waitForHeld(0)
            #expect(try holdfast.metrics().ended("closed") == 1)
        }
    }
}
