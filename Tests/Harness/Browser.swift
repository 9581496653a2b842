internal import Foundation

/// A headless Chromium of a test's own, driven by the DevTools protocol over a pipe: no driver, no port.
package final class Browser {
    private let process: ChildProcess
    private let commands: Int32
    private var lastID = 0
    private let directory: TestDirectory

    package init(directory: TestDirectory) throws {
        self.directory = directory
        var pair: [Int32] = [-1, -1]
        guard
            socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0
        else { throw HarnessError.system("socketpair") }
        defer { close(pair[1]) }
        commands = pair[0]
        // Reads commands from descriptor 3, writes answers to 4.
        process = try ChildProcess(
            try Tool.chromium.path,
            [
                "--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run",
                "--disable-dev-shm-usage", "--disable-background-networking", "--no-proxy-server",
                "--user-data-dir=\(directory.file("chromium"))",
            ] + (Place.isRoot ? ["--no-sandbox"] : []) + ["about:blank"],
            name: "chromium",
            directory: directory,
            environment: ProcessInfo.processInfo.environment.merging(
                ["HOME": directory.path, "DBUS_SESSION_BUS_ADDRESS": "disabled:"]
            ) { $1 },
            descriptors: [3: pair[1], 4: pair[1]],
            ownGroup: true
        )
    }

    deinit {
        _ = try? call("Browser.close")
        close(commands)
        if (try? process.wait(seconds: 5)) == nil { process.signal(SIGKILL) }
    }

    /// A new page in a profile of its own (cookies, storage), as another person's browser; or as another tab beside
    /// a page, with the same profile.
    package func open(_ url: String, beside: Page? = nil) throws -> Page {
        let context =
            try beside?.context
            ?? call("Target.createBrowserContext")["browserContextId"].string ?? ""
        let target = try call(
            "Target.createTarget",
            ["url": "about:blank", "browserContextId": context]
        )["targetId"]
        let session = try call(
            "Target.attachToTarget",
            ["targetId": target.string ?? "", "flatten": true]
        )["sessionId"]
        guard let session = session.string else { throw HarnessError("chromium gave no session") }
        let page = Page(
            browser: self,
            session: session,
            target: target.string ?? "",
            context: context
        )
        _ = try call("Page.enable", session: session)
        try page.navigate(to: url)
        return page
    }

    /// One command and its result; events on the way are dropped.
    fileprivate func call(
        _ method: String,
        _ parameters: [String: Any] = [:],
        session: String? = nil
    ) throws -> JSON {
        lastID += 1
        var command: [String: Any] = ["id": lastID, "method": method, "params": parameters]
        command["sessionId"] = session
        let bytes = try JSONSerialization.data(withJSONObject: command)
        try StreamSocket.write([UInt8](bytes) + [0], to: commands)
        while true {
            let message = try JSON(try nextMessage())
            guard message["id"].number == Double(lastID) else { continue }
            guard message["error"] == .null else {
                throw HarnessError("\(method): \(message["error"]["message"].string ?? "failed")")
            }
            return message["result"]
        }
    }

    /// Messages end with a NUL byte.
    private func nextMessage() throws -> [UInt8] {
        let deadline = Deadline()
        while true {
            if let end = unread.firstIndex(of: 0) {
                defer { unread.removeSubrange(...end) }
                return Array(unread[..<end])
            }
            guard let some = try StreamSocket.read(commands, deadline: deadline), !some.isEmpty
            else {
                throw HarnessError("chromium is silent: \(process.errorText.suffix(1000))")
            }
            unread += some
        }
    }

    private var unread: [UInt8] = []

    /// One page.
    package final class Page {
        private let browser: Browser
        private let session: String
        private let target: String
        fileprivate let context: String

        fileprivate init(browser: Browser, session: String, target: String, context: String) {
            self.browser = browser
            self.session = session
            self.target = target
            self.context = context
        }

        package func navigate(to url: String) throws {
            _ = try browser.call("Page.navigate", ["url": url], session: session)
            try waitUntil("\(url) is loaded") {
                try evaluate("document.readyState + ' ' + location.href").string
                    == "complete \(url)"
            }
        }

        /// As a person closes a tab.
        package func close() throws {
            _ = try browser.call("Target.closeTarget", ["targetId": target])
        }

        /// The browser's own emulation of a network that is gone, or back.
        package func setOffline(_ isOffline: Bool) throws {
            _ = try browser.call("Network.enable", session: session)
            _ = try browser.call(
                "Network.emulateNetworkConditions",
                [
                    "offline": isOffline, "latency": 0, "downloadThroughput": -1,
                    "uploadThroughput": -1,
                ],
                session: session
            )
        }

        /// The value of a JavaScript expression, or of what its promise comes to.
        @discardableResult
        package func evaluate(_ expression: String) throws -> JSON {
            let result = try browser.call(
                "Runtime.evaluate",
                ["expression": expression, "returnByValue": true, "awaitPromise": true],
                session: session
            )
            guard result["exceptionDetails"] == .null else {
                throw HarnessError("\(expression): \(result["exceptionDetails"])")
            }
            return result["result"]["value"]
        }

        /// Types as a person does: into the field with this id, replacing what is there.
        package func type(_ text: String, into id: String) throws {
            _ = try evaluate("document.getElementById('\(id)').focus()")
            _ = try evaluate("document.getElementById('\(id)').select()")
            _ = try browser.call("Input.insertText", ["text": text], session: session)
        }

        package func pressEnter() throws {
            for type in ["keyDown", "keyUp"] {
                _ = try browser.call(
                    "Input.dispatchKeyEvent",
                    [
                        "type": type, "key": "Enter", "code": "Enter", "text": "\r",
                        "windowsVirtualKeyCode": 13,
                    ],
                    session: session
                )
            }
        }

        /// The page's visible text.
        package var text: String {
            get throws { try evaluate("(document.body?.innerText ?? '')").string ?? "" }
        }

        package func waitForText(_ text: String) throws {
            try waitUntil("the page shows '\(text)'") { try self.text.contains(text) }
        }

        package func reload() throws { _ = try browser.call("Page.reload", session: session) }
    }
}
