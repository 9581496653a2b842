import Glibc
import Harness
import Testing

/// What a page or a program does, through every web server that speaks FastCGI, as conf/ sets them up.
@Suite(
    .enabled(
        if: Tool.usable(.nginx, .lighttpd, .apache, .haproxy, .caddy, .curl),
        "a web server or curl is not installed"
    )
)
struct FrontEndTests {
    private let settings = HoldfastServer.open + "[cors]\norigins = https://www.example.org\n"

    /// The servers take seconds to start and to stop, so all that leaves no trace in them shares one start of each;
    /// each check has channels of its own.
    @Test(arguments: WebServer.Kind.fastCGI)
    func `publishing, polling and holding work`(kind: WebServer.Kind) throws {
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(kind, before: holdfast) { web throws in
                let running = try LongPolls(web)
                // Not how many are held: the shortest may be over by then.
                try waitUntil("all have been held") {
                    try holdfast.metrics()["holdfast_holds_total"] == LongPolls.count
                }
                try publishesAndPolls(web)
                try takesChunkedUpload(web)
                try readsByQuery(web)
                try passesPathsAsTheyAre(web)
                try passesStatusAndFields(web)
                try tellsOwnPagesFromOthers(web)
                try running.finish(holdfast)
            }
        }
    }

    @Test(arguments: WebServer.Kind.fastCGI)
    func `when Holdfast is away a page is told so in JSON, and when it is back it is served`(
        kind: WebServer.Kind
    ) throws {
        try HoldfastServer.with { holdfast in
            try WebServer.with(kind, before: holdfast) { web throws in
                web.expectsFailures = true
                #expect(try web.get("/push/news").status == 200)
                try holdfast.stop()
                let answer = try web.get("/push/news?wait=25")
                #expect(answer.status == 503)
                #expect(answer["Content-Type"] == "application/problem+json")
                #expect(try answer.json["code"] == "away")
                // Lighttpd cannot.
                if kind != .lighttpd { #expect(answer["Retry-After"] == "2") }
                try holdfast.start()
                // Lighttpd asks again after a while only.
                try waitUntil("\(kind) finds it again") {
                    try web.post("/push/news", "back").status == 201
                }
            }
        }
    }

    /// Only 200 with this type makes it come back. It asks by GET, and what Holdfast itself refuses stays refused.
    @Test(arguments: WebServer.Kind.fastCGI)
    func `a browser's EventSource died for good when it came while Holdfast was away`(
        kind: WebServer.Kind
    ) throws {
        try HoldfastServer.with { holdfast in
            try WebServer.with(kind, before: holdfast) { web throws in
                web.expectsFailures = true
                let wanted = ["Accept": "text/event-stream"]
                #expect(try web.get("/push/-/status", wanted).status == 403)
                #expect(try web.get("/push/~news", wanted).status == 400)
                #expect(try web.get("/push/-/nothing", wanted).status == 404)
                try holdfast.stop()
                for accept in ["text/event-stream", "a/b;q=0.1, text/event-stream;q=0.9"] {
                    let answer = try web.get("/push/news?since=first", ["Accept": accept])
                    #expect(answer.status == 200)
                    #expect(answer["Content-Type"] == "text/event-stream")
                    #expect(answer["Cache-Control"] == "no-store")
                    // Caddy's formatter puts what is no line behind it.
                    #expect(answer.text == "retry: 2000\n" + (kind == .caddy ? "\t\t\t" : ""))
                }
                #expect(try web.post("/push/news", "x", wanted).status == 503)
                #expect(try web.get("/push/news", ["Accept": "application/json"]).status == 503)
            }
        }
    }

    /// As conf/ says it, in lines that are comments there.
    @Test(arguments: WebServer.Kind.fastCGI)
    func `a page of a listed origin could not read the web server's own answers`(
        kind: WebServer.Kind
    ) throws {
        try HoldfastServer.with(settings) { holdfast in
            let edits = try kind.linesForListedOrigins
            try WebServer.with(kind, before: holdfast, edits: edits) { web throws in
                web.expectsFailures = true
                let listed = ["Origin": "https://www.example.org"]
                let streams = listed.merging(["Accept": "text/event-stream"]) { $1 }
                let stranger = ["Origin": "https://www.example.net"]
                func allowed(_ answer: HTTPAnswer) -> [String] {
                    answer.fields.filter { $0.name.lowercased() == "access-control-allow-origin" }
                        .map(\.value)
                }
                let large = String(repeating: "x", count: 1_100_000)
                // HAProxy has no such bound, and lighttpd no way to add to this.
                let tooLarge = try web.post("/push/news", large, listed)
                if kind != .haproxy { #expect(tooLarge.status == 413) }
                if ![.haproxy, .lighttpd].contains(kind) {
                    #expect(allowed(tooLarge) == ["https://www.example.org"])
                }
                // What Holdfast says is said once.
                #expect(try allowed(web.get("/push/news", listed)) == ["https://www.example.org"])
                #expect(try allowed(web.get("/push/news", stranger)).isEmpty)
                try holdfast.stop()
                for fields in [listed, streams] {
                    let answer = try web.get("/push/news", fields)
                    #expect(answer.status == (fields == listed ? 503 : 200))
                    #expect(allowed(answer) == ["https://www.example.org"])
                    #expect(answer["Access-Control-Allow-Credentials"] == "true")
                }
                #expect(try allowed(web.get("/push/news", stranger)).isEmpty)
            }
        }
    }

    /// As conf/nginx.conf has it; the others' files say that they cannot.
    @Test
    func `a page that asks before a request saw nothing of the answer while Holdfast was away`()
        throws
    {
        try HoldfastServer.with(settings) { holdfast in
            let edits = try WebServer.Kind.nginx.linesForListedOrigins
            try WebServer.with(.nginx, before: holdfast, edits: edits) { web throws in
                web.expectsFailures = true
                func preflight(_ origin: String) throws -> HTTPAnswer {
                    try HTTPClient.exchange(
                        "OPTIONS",
                        "/push/news",
                        ["Origin": origin, "Access-Control-Request-Method": "POST"],
                        port: web.port
                    )
                }
                let names = ["Allow-Origin", "Allow-Methods", "Allow-Headers", "Allow-Credentials"]
                    .map { "Access-Control-" + $0 }
                let own = try preflight("https://www.example.org")
                try holdfast.stop()
                let away = try preflight("https://www.example.org")
                #expect(away.status == 204)
                for name in names { #expect(away[name] == own[name] && away[name] != nil) }
                let stranger = try preflight("https://www.example.net")
                #expect(stranger["Access-Control-Allow-Origin"] == nil)
            }
        }
    }

    /// At once where the server shows it, else by probes.
    @Test(arguments: WebServer.Kind.fastCGI)
    func `a departed client is released, at once or by probes`(kind: WebServer.Kind) throws {
        let often = HoldfastServer.open + "probe_interval = 1s\n"
        try HoldfastServer.with(often) { holdfast in
            try WebServer.with(kind, before: holdfast) { web throws in
                let client = try HTTPClient(port: web.port)
                try client.send("GET", "/push/news?wait=25")
                try holdfast.waitForHeld(1)
                // What hides departures has begun its answer; lighttpd watches from then on.
                if kind != .nginx, kind != .haproxy { #expect(try client.head().status == 200) }
                client.socket.close()
                try holdfast.waitForHeld(0)
                let metrics = try holdfast.metrics()
                #expect(metrics.ended("closed") + metrics.ended("probe") == 1)
                #expect(metrics.endedInAll == 1)
            }
        }
    }

    /// Not kept back by anything on the way: each event is read before the next one is published.
    @Test(arguments: WebServer.Kind.fastCGI)
    func `the events of a stream come at once, over HTTP/1.1 and HTTP/2`(kind: WebServer.Kind)
        throws
    {
        try HoldfastServer.with { holdfast in
            try WebServer.with(kind, before: holdfast) { web throws in
                for (version, port) in [("1.1", web.port), ("2-prior-knowledge", web.http2Port)] {
                    let curl = try ChildProcess(
                        try Tool.curl.path,
                        [
                            "--silent", "--no-buffer", "--http\(version)", "--header",
                            "Accept: text/event-stream", "http://127.0.0.1:\(port)/push/s\(port)",
                        ],
                        name: "curl-\(version)",
                        directory: holdfast.directory,
                        output: .pipe
                    )
                    func wait(for text: String) throws {
                        while let line = try curl.readLine() {
                            if line.contains(text) { return }
                        }
                        throw HarnessError("the stream ended before \(text)")
                    }
                    try wait(for: "event: hello")
                    for number in 1...3 {
                        try holdfast.publish("s\(port)", "message \(number)")
                        try wait(for: "\"message \(number)\"")
                    }
                    curl.signal(SIGTERM)
                    _ = try curl.wait()
                }
                // A message reveals a departure to servers that hide it.
                try waitUntil("they have gone") {
                    try holdfast.publish("s\(web.port)", "anybody there?")
                    try holdfast.publish("s\(web.http2Port)", "anybody there?")
                    return try holdfast.metrics().held == 0
                }
            }
        }
    }

    // MARK: One check each

    func publishesAndPolls(_ web: WebServer) throws {
        let sent = try web.post("/push/plain", "hello & goodbye")
        #expect(sent.status == 201)
        #expect(sent["Location"]?.hasPrefix("/push/-/messages/") == true)
        let answer = try web.get("/push/plain?since=first")
        #expect(answer.status == 200)
        #expect(try answer.json["messages"][0]["data"] == "hello & goodbye")
        let json = try web.post("/push/json", #"{"n":1}"#, ["Content-Type": "application/json"])
        #expect(json.status == 201)
        #expect(try web.get("/push/json?since=first").json["messages"][0]["data"]["n"] == 1)
    }

    func takesChunkedUpload(_ web: WebServer) throws {
        let text = String(repeating: "0123456789abcde\n", count: 3_750)
        var body = ""
        var rest = text[...]
        while !rest.isEmpty {
            let chunk = rest.prefix(7_001)
            body += "\(String(chunk.utf8.count, radix: 16))\r\n\(chunk)\r\n"
            rest = rest.dropFirst(7_001)
        }
        let fields = ["Transfer-Encoding": "chunked"]
        #expect(try web.post("/push/chunked", body + "0\r\n\r\n", fields).status == 201)
        #expect(try web.get("/push/chunked?since=first&format=bare").text == text)
    }

    /// With the channels in the body.
    private func readsByQuery(_ web: WebServer) throws {
        #expect(try web.post("/push/query", "found").status == 201)
        let answer = try HTTPClient.exchange(
            "QUERY",
            "/push/",
            ["Content-Type": "application/x-www-form-urlencoded"],
            body: "channel=query&since=first",
            port: web.port
        )
        #expect(answer.status == 200)
        #expect(try answer.json["messages"].array.map { $0["data"] } == ["found"])
    }

    func passesPathsAsTheyAre(_ web: WebServer) throws {
        #expect(try web.post("/push/paths/a", "1").status == 201)
        #expect(try web.post("/push/paths%2Fb", "2").status == 201)
        #expect(try web.post("/push/paths//c", "3").status == 201)
        let answer = try web.get("/push/paths//a,paths%2Fb%2Cpaths/c?since=first")
        #expect(answer.status == 200)
        #expect(try answer.json["messages"].array.map { $0["data"] } == ["1", "2", "3"])
        #expect(
            try answer.json["messages"].array.map { $0["channel"] } == [
                "paths/a", "paths/b", "paths/c",
            ]
        )
    }

    func passesStatusAndFields(_ web: WebServer) throws {
        #expect(try web.post("/push/tagged", "1").status == 201)
        let target = "/push/tagged?since=first"
        let first = try web.get(target)
        let tag = try #require(first["ETag"])
        let same = try web.get(target, ["If-None-Match": tag])
        #expect(same.status == 304)
        #expect(same["ETag"] == tag)

        // The next answer on the connection shows that nothing came after the head.
        let client = try HTTPClient(port: web.port)
        try client.send("HEAD", target)
        let head = try client.answer(hasBody: false)
        #expect(head.status == 200)
        #expect(head["ETag"] == tag)
        #expect(try client.get(target).body == first.body)

        let problem = try web.get("/push/tagged?since=x")
        #expect(problem.status == 400)
        #expect(problem["Content-Type"] == "application/problem+json")
        #expect(try problem.json["status"] == 400)
        #expect(try problem.json["code"].string?.isEmpty == false)
        let large = try web.post("/push/tagged", String(repeating: "x", count: 70_000))
        #expect(large.status == 413)
        #expect(try large.json["status"] == 413)
        #expect(try web.get("/push/-/status").status == 403)
    }

    /// By Host with its port, and the scheme where the server tells it.
    private func tellsOwnPagesFromOthers(_ web: WebServer) throws {
        let own = ["Origin": "http://127.0.0.1:\(web.port)"]
        #expect(try web.post("/push/origin", "x", own).status == 201)
        let fields = own.merging(["Content-Type": "text/plain"]) { $1 }
        let other = try HTTPClient.exchange(
            "POST",
            "/push/origin",
            fields,
            body: "x",
            port: web.secondPort
        )
        #expect(other.status == 403)
        let listed = try web.get("/push/origin", ["Origin": "https://www.example.org"])
        #expect(listed["Access-Control-Allow-Origin"] == "https://www.example.org")
    }

    /// Requests that are held while all else goes on.
    private struct LongPolls {
        static let count = 4

        private let released: [WaitingClient]
        private let long: HTTPClient
        private let expiring: HTTPClient
        /// 4 kB, and what counts comes behind it.
        private let padding = String(repeating: "0123456789abcdef", count: 256)

        init(_ web: WebServer) throws {
            released = try WaitingClient.Version.allCases.map {
                try WaitingClient($0, "/push/held?wait=55", through: web)
            }
            long = try HTTPClient(port: web.port)
            try long.send("GET", "/push/held?padding=\(padding)&wait=55")
            expiring = try HTTPClient(port: web.port)
            try expiring.send("GET", "/push/expiring?padding=\(padding)&wait=3")
        }

        func finish(_ holdfast: HoldfastServer) throws {
            let expired = try expiring.answer()
            #expect(expired.status == 200)
            #expect(try expired.json["messages"] == [])
            #expect(try expired.json["cursor"].string?.isEmpty == false)

            try holdfast.publish("held", "now")
            for client in released {
                let answer = try client.answer()
                #expect(answer.status == 200)
                #expect(try answer.json["messages"][0]["data"] == "now")
            }
            #expect(try long.answer().json["messages"][0]["data"] == "now")
            try holdfast.waitForHeld(0)
            let metrics = try holdfast.metrics()
            #expect(metrics.ended("deadline") == 1)
            #expect(metrics.ended("released") == 3)
            #expect(metrics.endedInAll == 4)
        }
    }
}

extension WebServer.Kind {
    /// Those of its configuration that are comments, and what they are without that.
    fileprivate var linesForListedOrigins: [(String, String)] {
        get throws {
            let file = [
                "nginx": "nginx.conf", "lighttpd": "lighttpd.conf", "apache": "apache.conf",
                "haproxy": "haproxy.cfg", "caddy": "Caddyfile",
            ][rawValue]
            let lines = Files.text("\(Place.root)/conf/\(file ?? "")")
                .split(separator: "\n", omittingEmptySubsequences: false)
            let isCode = { (line: Substring) in
                line.drop { " \t".contains($0) }.wholeMatch(of: /#[^# ].*|#    .*|#\t.*/) != nil
            }
            guard let example = lines.firstIndex(where: { $0.contains("https://www.example.org") })
            else { throw HarnessError("\(self) has no example of an origin") }
            let start = lines[..<example].lastIndex { !isCode($0) } ?? example
            let end = lines[example...].firstIndex { !isCode($0) } ?? lines.endIndex
            let block = lines[(start + 1)..<end].joined(separator: "\n")
            return [(block, block.replacing(/(?m)^([ \t]*)#/) { "\($0.1)" })]
        }
    }
}
