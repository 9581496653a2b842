import Harness
import Testing

/// conf/examples, as people would run them: each publisher with its page.
@Suite(
    .enabled(
        if: Tool.usable(.chromium, .nginx, .php, .python, .socat, .curl),
        "chromium, nginx, php, python3, socat or curl is not installed"
    ),
    .serialized
)
struct ExampleTests {
    private static let languages = ["sh", "py", "php"]

    private func with(
        _ body: (Browser, WebServer, HoldfastServer, _ site: String) throws -> Void
    ) throws {
        // The pages stand where the classic ones do otherwise.
        let options = ["--pages", "\(Place.root)/conf/examples"]
        try HoldfastServer.with { holdfast in
            _ = try holdfast.busClient()
            try WebServer.with(.nginx, before: holdfast, options: options) { web throws in
                let browser = try Browser(directory: holdfast.directory)
                try body(browser, web, holdfast, "http://127.0.0.1:\(web.port)/")
            }
        }
    }

    private func run(
        _ name: String,
        _ language: String,
        _ arguments: [String],
        _ holdfast: HoldfastServer
    ) throws {
        let program =
            switch language {
            case "php": try Tool.php.path
            case "py": try Tool.python.path
            default: "/bin/sh"
            }
        let file = "\(Place.root)/conf/examples/\(name).\(language)"
        let outcome = try ChildProcess.run(
            program,
            [file] + arguments,
            directory: holdfast.directory,
            environment: ["PATH": "/usr/bin:/bin", "HOLDFAST": Place.holdfast]
        )
        #expect(outcome.exit == .exited(0), "\(outcome.error)")
    }

    @Test func `the examples and the classic chat look alike`() {
        let conf = "\(Place.root)/conf"
        let style = Files.bytes("\(conf)/examples/examples.css")
        #expect(!style.isEmpty && style == Files.bytes("\(conf)/classic/classic.css"))
    }

    @Test(arguments: languages)
    func `a job tells how far it is`(language: String) throws {
        try with { browser, _, holdfast, site in
            let page = try browser.open("\(site)progress.html?job=7")
            try page.waitForText("Not begun yet.")
            try run("progress", language, ["7", holdfast.busSocket], holdfast)
            try page.waitForText("Done.")
            // A page that is opened later sees it at once.
            try browser.open("\(site)progress.html?job=7").waitForText("Done.")
        }
    }

    @Test(arguments: languages)
    func `a user is notified, also of what came meanwhile`(language: String) throws {
        try with { browser, _, holdfast, site in
            let url = "\(site)notifications.html?user=bob"
            let page = try browser.open(url)
            try run(
                "notifications",
                language,
                ["bob", "<i>one</i> & two", "\(site)push/"],
                holdfast
            )
            try page.waitForText("<i>one</i> & two")
            #expect(try page.evaluate("document.querySelectorAll('.warning').length") == 1)
            try page.navigate(to: "about:blank")
            try run("notifications", language, ["bob", "meanwhile", "\(site)push/"], holdfast)
            try page.navigate(to: url)
            try page.waitForText("meanwhile")
            #expect(try page.text.contains("one") == false)
        }
    }

    @Test(arguments: languages)
    func `a table is up to date`(language: String) throws {
        try with { browser, _, holdfast, site in
            try run("table", language, ["EUR", "1.05", holdfast.busSocket], holdfast)
            try run("table", language, ["CHF", "0.9", holdfast.busSocket], holdfast)
            let page = try browser.open("\(site)table.html")
            try page.waitForText("0.90")
            try run("table", language, ["EUR", "1.1", holdfast.busSocket], holdfast)
            try page.waitForText("1.10")
            #expect(try page.text.contains("1.05") == false)
            #expect(try page.evaluate("document.querySelectorAll('tbody tr').length") == 2)
        }
    }
}
