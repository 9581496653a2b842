import Harness
import Testing

/// The status page and the console, as a browser shows them.
@Suite(
    .enabled(if: Tool.usable(.chromium, .nginx), "chromium or nginx is not installed"),
    .serialized
)
struct PagesTests {
    private func with(
        operator isOperator: Bool = false,
        _ settings: String = HoldfastServer.open,
        _ body: (Browser, WebServer, HoldfastServer) throws -> Void
    ) throws {
        let options = isOperator ? ["--parameters", "fastcgi_param HOLDFAST_OPERATOR 1;"] : []
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(.nginx, before: holdfast, options: options) { web throws in
                try body(Browser(directory: holdfast.directory), web, holdfast)
            }
        }
    }

    private func page(_ name: String, _ web: WebServer) -> String {
        "http://127.0.0.1:\(web.port)/push/-/\(name)"
    }

    private func number(_ id: String, _ page: Browser.Page) throws -> Double? {
        try page.evaluate("Number(document.getElementById('\(id)').textContent)").number
    }

    @Test func `the base path in a browser was an error`() throws {
        try with { browser, web, _ in
            for path in ["/push/", "/push/-/"] {
                let page = try browser.open("http://127.0.0.1:\(web.port)\(path)")
                try page.waitForText("It works")
                let links = try page.evaluate("[...document.links].map(a => a.pathname).join(' ')")
                #expect(links.string?.hasPrefix("/push/-/chat /push/-/console ") == true)
                try waitUntil("its style is there") {
                    try page.evaluate("document.styleSheets[0]?.cssRules.length > 9") == true
                }
                // Its cards once touched.
                let gap = try page.evaluate(
                    "(([a, b]) => b.getBoundingClientRect().top - a.getBoundingClientRect().bottom)"
                        + "(document.querySelectorAll('.card'))"
                )
                #expect(gap.number ?? 0 >= 8)
            }
            #expect(try web.get("/push/").status == 400)
        }
    }

    @Test func `the status page shows what is held, and the channels`() throws {
        try with(operator: true) { browser, web, holdfast in
            let waiting = try (0..<3).map { _ in try holdfast.hold("/push/news/sport?wait=25") }
            let page = try browser.open(page("status", web))
            // Three polls, and the page's own stream.
            try waitUntil("they are shown") { try number("held", page) == 4 }
            try holdfast.publish("news/sport", "released")
            try waitUntil("they have ended") { try number("held", page) == 1 }
            try page.waitForText("news/sport")
            try page.waitForText("answered with messages 3")
            #expect(try page.evaluate("document.querySelectorAll('svg').length") == 3)
            // What is known of the server in front is learned from what it has held.
            try page.evaluate("void fetch('/push/news/sport?wait=25')")
            try page.waitForText("servers of this kind show departures")
            _ = waiting
        }
    }

    @Test func `a status page that is refused names the lines that are missing, which work`() throws
    {
        try HoldfastServer.with { holdfast in
            var lines = ""
            try WebServer.with(.nginx, before: holdfast) { web throws in
                let browser = try Browser(directory: holdfast.directory)
                let page = try browser.open(page("status", web))
                try page.waitForText("This page is for the operator")
                lines =
                    try page.evaluate("document.getElementById('lines').textContent").string ?? ""
                #expect(try page.evaluate("document.getElementById('server').value") == "nginx")
                #expect(try web.get("/push/-/status").status == 403)
            }
            let hash = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
            let passwords = try holdfast.directory.write("admin:\(hash)\n", to: "passwords")
            let options = ["--server", lines, "--passwords", passwords]
            try WebServer.with(.nginx, before: holdfast, options: options) { web throws in
                #expect(try web.get("/push/-/status").status == 401)
                let password = ["Authorization": "Basic YWRtaW46c2VjcmV0"]
                #expect(try web.get("/push/-/status", password).status == 200)
                #expect(try web.get("/push/-/channels", password).status == 200)
                #expect(try web.get("/push/-/holdfast.js").status == 200)
            }
        }
    }

    @Test func `the status page and the command show which tokens and links were accepted`() throws
    {
        let settings =
            HoldfastServer.open
            + "[key web]\nsecret = 0123456789abcdef0123456789abcdef\n[allow closed]\nread = key:web\n"
        try with(operator: true, settings) { browser, web, holdfast in
            #expect(try !holdfast.command("status").output.contains("links"))
            let sign = try holdfast.command("sign", "news")
            try #require(sign.exit == .exited(0))
            #expect(try web.get(String(sign.output.dropLast())).status == 200)
            #expect(try web.get("/push/news?signature=x&expires=1").status == 401)
            for _ in 0..<3 { #expect(try web.get("/push/closed?access_token=x").status == 401) }
            let page = try browser.open(page("status", web))
            try page.waitForText("Refused for: token malformed 3, link malformed 1.")
            let rows = try page.evaluate(
                "[...document.querySelectorAll('#credentials td')].map((one) => one.textContent).join()"
            )
            #expect(rows.string == "0,3,2,1,1,–")
            let status = try holdfast.command("status").output
            #expect(status.contains("0 verified, 2 known already, 1 refused\n"))
            #expect(status.contains("1 verified, 1 refused\n"))
            #expect(status.contains("link_malformed 1, token_malformed 3\n"))
        }
    }

    @Test func `the charts are filled when the status page is opened`() throws {
        try with(operator: true) { browser, web, holdfast in
            let waiting = try holdfast.hold("/push/news?wait=55")
            try waitUntil("the server has kept some slots") {
                try holdfast.status()["history"]["held"].array.suffix(2) == [1, 1]
            }
            let page = try browser.open(page("status", web))
            try page.waitForText("Live")
            // The stream has brought two at most by then.
            let seconds = try page.evaluate(
                """
                (() => {
                  const {points} = document.querySelector("#chart-held polyline");
                  const {width} = document.querySelector("#chart-held svg").viewBox.baseVal;
                  return (points[points.length - 1].x - points[0].x) / (width - 40) * 300;
                })()
                """
            )
            #expect(seconds.number ?? 0 >= 4.9)
            _ = waiting
        }
    }

    @Test(arguments: [
        ("application/json", #""messages":["#), ("text/event-stream", "event: hello"),
        ("application/x-ndjson", #""kind":"hello""#),
    ])
    func `the console shows an exchange as it comes`(form: String, expected: String) throws {
        try with { browser, web, holdfast in
            let page = try browser.open(page("console", web))
            try page.evaluate("document.getElementById('form').value = '\(form)'")
            try page.type("news", into: "channels")
            try page.evaluate("document.querySelector('#subscribe [type=submit]').click()")
            try holdfast.waitForHeld(1)
            try page.type("news", into: "to")
            try page.type("text/plain", into: "type")
            try page.type("<b id=bold>text</b>", into: "body")
            try page.evaluate("document.querySelector('#publish [type=submit]').click()")
            try page.waitForText("201 Created")
            try page.waitForText(expected)
            try page.waitForText(#""data":"<b id=bold>text</b>""#)
            try page.waitForText("GET /push/news")
            #expect(try page.evaluate("document.getElementById('bold')") == .null)
            try page.evaluate("document.getElementById('stop').click()")
            try holdfast.waitForHeld(0)
        }
    }

    @Test func `a stream that runs does not look as if it had ended`() throws {
        try with { browser, web, holdfast in
            let page = try browser.open(page("console", web))
            try page.evaluate("document.getElementById('form').value = 'text/event-stream'")
            try page.evaluate("document.querySelector('#subscribe [type=submit]').click()")
            try page.waitForText("event: hello")
            #expect(try page.text.contains("open for"))
            try page.evaluate(
                "[...document.querySelectorAll('.open button')].find(one => one.textContent === 'Stop').click()"
            )
            try page.waitForText("stopped after")
            #expect(try page.text.contains("open for") == false)
            try holdfast.waitForHeld(0)
        }
    }

    @Test func `JSON is shown in lines of its own, and byte for byte again`() throws {
        try with { browser, web, holdfast in
            let page = try browser.open(page("console", web))
            try page.evaluate("document.querySelector('#publish [type=submit]').click()")
            try page.waitForText(#"{"status":"sent","#)
            try page.evaluate("document.getElementById('pretty').click()")
            try page.waitForText("{\n  \"status\": \"sent\",\n")
            try page.evaluate("document.getElementById('pretty').click()")
            try page.waitForText(#"{"status":"sent","#)
        }
    }

    @Test(.enabled(if: Tool.usable(.curl)))
    func `what is copied for curl is a command that does the same`() throws {
        try with { browser, web, holdfast in
            let page = try browser.open(page("console", web))
            let body = #"it's "quoted", $HOME and \ and @file"# + "\nsecond line"
            try page.type("news", into: "to")
            try page.type("text/plain", into: "type")
            try page.type(body, into: "body")
            try page.evaluate("document.querySelector('#publish [type=submit]').click()")
            try page.waitForText("201 Created")
            try page.evaluate(
                """
                Object.defineProperty(navigator, "clipboard", {value: {writeText: async (text) => (window.copied = text)}});
                [...document.querySelectorAll("button")].find((one) => one.textContent === "Copy as curl").click()
                """
            )
            try page.waitForText("Copied")
            let command = try #require(try page.evaluate("copied").string)
            let run = try ChildProcess.run(
                "/bin/sh",
                ["-c", command],
                directory: holdfast.directory,
                environment: ["PATH": "/usr/bin:/bin", "HOME": "/nowhere"]
            )
            #expect(run.exit == .exited(0), "\(command): \(run.error)")
            #expect(String(decoding: run.output, as: UTF8.self).contains("201 Created"))
            let messages = try holdfast.get("/push/news?since=first").json["messages"].array
            #expect(messages.map { $0["data"].string } == [body, body])
        }
    }

    @Test func `pages load nothing from elsewhere and run no inline script`() throws {
        try HoldfastServer.with { holdfast in
            for name in ["chat", "status", "console"] {
                let answer = try holdfast.get("/push/-/\(name)", ["Accept": "text/html"])
                #expect(answer.status == 200)
                #expect(answer["Content-Security-Policy"]?.contains("default-src 'self'") == true)
                #expect(!answer.text.contains("://"))
                #expect(!answer.text.contains("<style"))
                #expect(answer.text.matches(of: /<script(?! src=)/).isEmpty)
                for match in answer.text.matches(of: /(?:src|href)="([a-z.]+)"/) {
                    let part = try holdfast.get("/push/-/\(match.1)", ["Accept": "text/html"])
                    #expect(part.status == 200, "\(match.1)")
                }
            }
        }
    }

    @Test func `the chat page's picture was not there`() throws {
        try HoldfastServer.with { server in
            let answer = try server.get("/push/-/mark.svg")
            #expect(answer.status == 200)
            #expect(answer["Content-Type"] == "image/svg+xml")
        }
    }
}
