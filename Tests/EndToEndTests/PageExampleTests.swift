import Harness
import Testing

/// The pages that the documentation shows, in a browser.
@Suite(
    .enabled(if: Tool.usable(.chromium, .nginx), "chromium or nginx is not installed"),
    .serialized
)
struct PageExampleTests {
    /// Opens the example whose text contains this, with a message on each channel.
    private func open(
        _ mark: String,
        _ body: (Browser.Page, HoldfastServer) throws -> Void
    ) throws {
        let examples = Documentation.examples.filter { $0.kind == "html" }
        #expect(examples.count == 3)
        let example = try #require(examples.first { $0.text.contains(mark) })
        let settings = HoldfastServer.open + "[presence chat]\n"
        try HoldfastServer.with(settings) { holdfast in
            let pages = try holdfast.directory.makeDirectory("pages")
            // What it writes to the console shows, too.
            let console = """
                <!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body>
                <pre id="console"></pre><script>
                console.log = (...said) =>
                  document.getElementById("console").append(said.join(" ") + "\\n");
                </script>
                """
            try holdfast.directory.write(console + example.text, to: "pages/index.html")
            for channel in ["news", "chat"] { try holdfast.publish(channel, "from before") }
            let options = ["--pages", pages]
            try WebServer.with(.nginx, before: holdfast, options: options) { web throws in
                let browser = try Browser(directory: holdfast.directory)
                try body(browser.open("http://127.0.0.1:\(web.port)/"), holdfast)
            }
        }
    }

    @Test func `README's page shows what is published`() throws {
        try open("messages are missing") { page, holdfast in
            try page.waitForText("from before")
            try page.waitForText("live")
            try holdfast.publish("news", "published now")
            try page.waitForText("published now")
        }
    }

    @Test func `the page of the guide chats, and shows the members`() throws {
        try open("presence(") { page, holdfast in
            try page.waitForText("from before")
            try page.waitForText("Ann")
            try page.type("typed into the form", into: "text")
            try page.pressEnter()
            try page.waitForText("typed into the form")
            #expect(try holdfast.texts("chat").last == "typed into the form")
        }
    }

    @Test func `the page with EventSource alone shows the news`() throws {
        try open("EventSource(") { page, holdfast in
            try page.waitForText("from before")
            try holdfast.publish("news", "published now")
            try page.waitForText("published now")
        }
    }
}
