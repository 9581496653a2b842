import Harness
import Testing

/// The same through a web server that only passes requests on to another one.
extension FrontEndTests {
    /// Before nginx with what conf/routing-layer/inner.conf says.
    private func withRouting(
        _ kind: WebServer.Kind,
        _ settings: String = HoldfastServer.open,
        _ body: (WebServer, HoldfastServer) throws -> Void
    ) throws {
        let lines = "include \(Place.root)/conf/routing-layer/inner.conf;"
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(
                .nginx,
                before: holdfast,
                options: ["--server", lines]
            ) { web in
                try WebServer.with(kind, before: web) { try body($0, holdfast) }
            }
        }
    }

    @Test(arguments: WebServer.Kind.routing)
    func `through a routing layer publishing, polling and holding work`(kind: WebServer.Kind) throws
    {
        try withRouting(kind) { web, holdfast in
            try publishesAndPolls(web)
            try takesChunkedUpload(web)
            try passesPathsAsTheyAre(web)
            try passesStatusAndFields(web)
            let own = ["Origin": "http://127.0.0.1:\(web.port)"]
            #expect(try web.post("/push/origin", "x", own).status == 201)
            let client = try HTTPClient(port: web.port)
            try client.send("GET", "/push/held?wait=55")
            try holdfast.waitForHeld(1)
            try holdfast.publish("held", "now")
            #expect(try client.answer().json["messages"][0]["data"] == "now")
        }
    }

    @Test(arguments: WebServer.Kind.routing)
    func `a routing layer passes on at once what must not wait`(kind: WebServer.Kind) throws {
        try withRouting(kind) { web, holdfast in
            let client = try HTTPClient(port: web.port)
            try client.send("GET", "/push/held?wait=25")
            let head = try client.head()
            #expect(head.status == 200)
            try holdfast.waitForHeld(1)
            try holdfast.publish("held", "now")
            #expect(try JSON(client.body(after: head))["messages"][0]["data"] == "now")
        }
    }

    @Test(arguments: WebServer.Kind.routing)
    func `behind a routing layer probes show that a client has left`(kind: WebServer.Kind) throws {
        let often = HoldfastServer.open + "probe_interval = 1s\n"
        try withRouting(kind, often) { web, holdfast in
            let client = try HTTPClient(port: web.port)
            try client.send("GET", "/push/news?wait=25")
            _ = try client.head()
            client.socket.close()
            try holdfast.waitForHeld(0)
            let metrics = try holdfast.metrics()
            #expect(metrics.ended("closed") + metrics.ended("probe") == 1)
            #expect(metrics.endedInAll == 1)
        }
    }

    @Test(arguments: WebServer.Kind.routing)
    func `behind a routing layer a departure is hidden, and the hold runs out`(
        kind: WebServer.Kind
    ) throws {
        try HoldfastServer.with(HoldfastServer.open + "probe = off\n") { holdfast in
            try WebServer.with(.nginx, before: holdfast) { inner in
                try WebServer.with(kind, before: inner) { web in
                    let client = try HTTPClient(port: web.port)
                    try client.send("GET", "/push/news?wait=2")
                    try waitUntil("the request has been held") {
                        try holdfast.metrics()["holdfast_holds_total"] == 1
                    }
                    client.socket.close()
                    try holdfast.waitForHeld(0)
                    #expect(try holdfast.metrics().ended("deadline") == 1)
                }
            }
        }
    }
}
