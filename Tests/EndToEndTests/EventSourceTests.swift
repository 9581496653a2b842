import Harness
import Testing

/// Event streams read by others than ourselves: a client library, and a browser's own EventSource.
@Suite(.enabled(if: Tool.usable(.nginx), "nginx is not installed"))
struct EventSourceTests {
    /// Texts that have been hard for some reader, and random ones.
    private static func texts() -> [String] {
        let letters = Array("ab :\n\r\t\u{FEFF}ä\u{2028}\u{85}\"\\{}<\u{1F300}".unicodeScalars)
        let random = (0..<40).map { _ in
            var text = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 1...20) { text.append(letters.randomElement()!) }
            return String(text)
        }
        return [
            "plain", "two\nlines", "\n", "a\r\nb\rc", "data: x", ": no comment",
            "id: 7\n\nevent: bye",
            " blank", "\u{FEFF}mark", "trailing\n",
        ] + random
    }

    /// By scalars: to Swift's strings some of these are parts of one character.
    private static func withOneLineBreak(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        var previous: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            if scalar == "\r" || scalar == "\n" {
                if scalar == "\r" || previous != "\r" { result.append("\n") }
            } else {
                result.append(scalar)
            }
            previous = scalar
        }
        return String(result)
    }

    @Test(
        .enabled(
            if: Tool.usable(.chromium, .lighttpd, .apache, .haproxy, .caddy),
            "chromium or a web server is not installed"
        ),
        arguments: WebServer.Kind.fastCGI
    )
    func `a browser's EventSource that is opened while Holdfast is away comes back by itself`(
        kind: WebServer.Kind
    ) throws {
        try HoldfastServer.with { holdfast in
            try WebServer.with(kind, before: holdfast) { web throws in
                web.expectsFailures = true
                let page = try Browser(directory: holdfast.directory)
                    .open("http://127.0.0.1:\(web.port)/push/-/live")
                // One that was there before, and one that comes meanwhile.
                try page.evaluate(
                    """
                    window.got = [];
                    window.errors = 0;
                    window.open = (channel) => {
                      const source = new EventSource(`/push/${channel}`);
                      source.onmessage = ({data}) => got.push(JSON.parse(data).data);
                      source.onerror = () => errors++;
                      return source;
                    };
                    window.sources = [open("a")]; 1
                    """
                )
                try holdfast.waitForHeld(1)
                try holdfast.stop()
                try page.evaluate("sources.push(open('b')); 1")
                try waitUntil("both have failed") {
                    try page.evaluate("errors >= 3") == true
                }
                // None is closed for good.
                #expect(try page.evaluate("sources.some((one) => one.readyState == 2)") == false)
                try holdfast.start()
                try waitUntil("both are back") {
                    try page.evaluate("sources.map((one) => one.readyState).join()") == "1,1"
                        && holdfast.metrics().held == 2
                }
                for channel in ["a", "b"] { try holdfast.publish(channel, "to \(channel)") }
                try waitUntil("both get messages") {
                    try page.evaluate("got.sort().join()") == "to a,to b"
                }
                // Caddy does not end before its clients.
                try page.evaluate("sources.forEach((one) => one.close())")
                try waitUntil("they have gone") {
                    for channel in ["a", "b"] { try holdfast.publish(channel, "anybody there?") }
                    return try holdfast.metrics().held == 0
                }
            }
        }
    }

    private func publishAll(_ texts: [String], _ holdfast: HoldfastServer) throws -> [String] {
        try texts.enumerated().map { number, text in
            let answer = try holdfast.post(
                "/push/news",
                text,
                fields: number % 3 == 0 ? ["Holdfast-Type": "type:\(number)"] : [:]
            )
            return try answer.json["id"].string ?? ""
        }
    }

    private func expect(_ events: [JSON], _ texts: [String], _ ids: [String], bare: Bool) throws {
        #expect(events.count == texts.count)
        for (number, event) in events.enumerated() {
            #expect(event[0].string == ids[number])
            #expect(event[1].string == (number % 3 == 0 ? "type:\(number)" : "message"))
            let data = event[2].string ?? ""
            if bare {
                // All line breaks are one to a reader of event streams.
                let text = Self.withOneLineBreak(texts[number])
                #expect(
                    data.unicodeScalars.elementsEqual(text.unicodeScalars),
                    "\(data.debugDescription), not \(text.debugDescription)"
                )
            } else {
                let text = try JSON(Array(data.utf8))["data"].string ?? ""
                #expect(text.unicodeScalars.elementsEqual(texts[number].unicodeScalars))
            }
        }
    }

    /// Where scripts/test has put it, from PyPI.
    private static let python = "\(Place.root)/.build/python/bin/python"

    @Test(
        .enabled(
            if: Tool.isExecutable(python),
            "sseclient-py is not there: scripts/test installs it"
        ),
        arguments: [false, true]
    )
    func `a client library reads what was published`(bare: Bool) throws {
        try Front.nginx.with { web, holdfast in
            let texts = Self.texts()
            let ids = try publishAll(texts, holdfast)
            let outcome = try ChildProcess.run(
                Self.python,
                [
                    "\(Place.root)/Tests/EndToEndTests/Support/sse_client.py",
                    "http://127.0.0.1:\(web.port)/push/news?since=first"
                        + (bare ? "&format=bare" : ""),
                    "\(texts.count + 1)",
                ],
                directory: holdfast.directory
            )
            #expect(outcome.exit == .exited(0), "\(outcome.error)")
            let events = try outcome.output.split(separator: 0x0A).map { try JSON(Array($0)) }
            #expect(events.first?[1] == "hello")
            try expect(Array(events.dropFirst()), texts, ids, bare: bare)
        }
    }

    @Test(
        .enabled(if: Tool.usable(.chromium), "chromium is not installed"),
        arguments: [false, true]
    )
    func `a browser's EventSource reads what was published, and comes back by itself`(bare: Bool)
        throws
    {
        let settings = HoldfastServer.open + "stream_life = 2s\n"
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(.nginx, before: holdfast, options: ClientScriptTests.bareOptions) {
                web in
                let texts = Self.texts()
                let half = texts.count / 2
                var ids = try publishAll(Array(texts[..<half]), holdfast)
                let browser = try Browser(directory: holdfast.directory)
                let page = try browser.open("http://127.0.0.1:\(web.port)\(ClientScriptTests.bare)")
                _ = try page.evaluate(
                    """
                    window.got = [], window.hellos = 0;
                    window.source = new EventSource("/push/news?since=first\(bare ? "&format=bare" : "")");
                    const take = ({lastEventId, type, data}) => got.push([lastEventId, type, data]);
                    source.onmessage = take;
                    for (let n = 0; n < \(texts.count); n += 3) source.addEventListener("type:" + n, take);
                    source.addEventListener("hello", () => hellos++);
                    1
                    """
                )
                try waitUntil("it has come back") { try page.evaluate("hellos").number ?? 0 >= 2 }
                // Numbered on, as publishAll numbers types.
                for number in half..<texts.count {
                    let fields = number % 3 == 0 ? ["Holdfast-Type": "type:\(number)"] : [:]
                    let answer = try holdfast.post("/push/news", texts[number], fields: fields)
                    ids.append(try answer.json["id"].string ?? "")
                }
                try waitUntil("all have come") {
                    try page.evaluate("got.length").number == Double(texts.count)
                }
                let got = try page.evaluate("JSON.stringify(got)").string ?? ""
                try expect(try JSON(Array(got.utf8)).array, texts, ids, bare: bare)
                _ = try page.evaluate("source.close()")
            }
        }
    }
}
