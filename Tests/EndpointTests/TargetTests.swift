import Channels
import Configuration
import Testing

@testable import Endpoint

@Suite struct TargetTests {
    let http = HTTPInterface.open()

    @Test(arguments: [
        ("/push/news", ["news"]),
        ("/push/news?since=first", ["news"]),
        ("/push/news#x", ["news"]),
        ("http://example.org:8080/push/news", ["news"]),
        ("//push///news", ["news"]),
        ("/push/a%2Fb", ["a/b"]),
        ("/push/a%2f%2Fb", ["a/b"]),
        ("/pus%68/a", ["a"]),
        ("/push/b,a", ["a", "b"]),
        ("/push/b%2Ca,b", ["a", "b"]),
        ("/push/a?channel=c&channel=b%2Fx", ["a", "b/x", "c"]),
        ("/push/?channel=a", ["a"]),
        ("/push?channel=a", ["a"]),
        ("/push/-news", ["-news"]),
    ])
    func `channels come from the decoded path and the parameter`(uri: String, names: [String]) {
        #expect(http.poll(.get(uri))?.subscription.channels.map(\.text) == names)
    }

    @Test(arguments: [
        ("/push/%zz", "malformed_path"), ("/push/%4", "malformed_path"),
        ("/push/%", "malformed_path"), ("/push/a%00", "malformed_path"),
        ("/push/%ff", "malformed_path"), ("/push/%C3%A9", "invalid_channel"),
        ("/push/%2541", "invalid_channel"), ("/push/a+b", "invalid_channel"),
        ("/push/a,", "invalid_channel"), ("/push/a/", "invalid_channel"),
        ("/push/../a", "invalid_channel"), ("/push/a/%2e%2e/b", "invalid_channel"),
        ("/push/~other/a", "invalid_channel"), ("/push/?channel=a%2Cb", "invalid_channel"),
        ("/push/?channel=", "invalid_channel"), ("/push/?channel=-/live", "invalid_channel"),
        ("/push/", "no_channel"), ("/push", "no_channel"), ("/", "not_found"),
        ("/pushx", "not_found"), ("*", "not_found"), ("", "not_found"), ("/push/-", "not_found"),
        ("/push/-/", "not_found"), ("/push/-/a/b", "not_found"), ("/push/-/a_b", "not_found"),
        ("/push/-/..", "not_found"), ("/push/-/.x", "not_found"), ("/push/-/messages", "not_found"),
        ("/push/-/presence", "not_found"),
        ("/push/-/leave", "method_not_allowed"), ("/push/-/presence/a", "presence_off"),
        ("/push/-/" + String(repeating: "a", count: 65), "not_found"),
        ("/push/-/messages/", "message_not_found"), ("/push/-/messages/x", "message_not_found"),
    ])
    func `other targets are refused with a code`(uri: String, code: String) {
        #expect(http.refusal(.get(uri)) == code)
    }

    /// It asked whether the base path was right.
    @Test func `a wrong name below the service's path says that the name is wrong`() throws {
        let wrong = try #require(http.answer(.get("/push/-/statuz/x")))
        #expect(wrong.body.contains("below '-/'"))
        let elsewhere = try #require(http.answer(.get("/elsewhere/-/status")))
        #expect(elsewhere.body.contains("check the base path"))
    }

    @Test func `raw bytes that are not UTF-8 are refused in path and query`() {
        for name in ["REQUEST_URI", "QUERY_STRING"] {
            var request = CGIRequest.get("/push/news")
            request.put(name, Array("/push/a".utf8) + [0xFF])
            #expect(http.refusal(request) == "malformed_path")
        }
    }

    @Test
    func `without REQUEST_URI the path is SCRIPT_NAME and PATH_INFO as decoded by the server`() {
        let request = CGIRequest([
            "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/push", "PATH_INFO": "/a/b",
            "QUERY_STRING": "channel=c",
        ])
        #expect(http.poll(request)?.subscription.channels.map(\.text) == ["a/b", "c"])
    }

    @Test func `an empty QUERY_STRING says that there is no query`() {
        let request = CGIRequest.get("/push/a?channel=b", ["QUERY_STRING": ""])
        #expect(http.poll(request)?.subscription.channels.map(\.text) == ["a"])
    }

    @Test(arguments: ["/hub", "hub/", "/hub/", "//hub//"])
    func `the web server says where the base is`(base: String) {
        #expect(http.poll(.get("/hub/a", ["HOLDFAST_BASE": base])) != nil)
        #expect(http.refusal(.get("/push/a", ["HOLDFAST_BASE": base])) == "not_found")
    }

    @Test func `the base may be the root`() {
        let request = CGIRequest.get("/a", ["HOLDFAST_BASE": "/"])
        #expect(http.poll(request)?.subscription.channels.map(\.text) == ["a"])
    }

    @Test func `too many channels are refused`() {
        let few = (0..<64).map { "c\($0)" }.joined(separator: ",")
        #expect(http.poll(.get("/push/" + few))?.subscription.channels.count == 64)
        #expect(http.refusal(.get("/push/" + few + ",x")) == "too_many_channels")
        #expect(http.refusal(.get("/push/" + few + "?channel=x")) == "too_many_channels")
    }

    @Test func `no header of a client becomes a parameter of the web server`() {
        let closed = HTTPInterface(settings: Settings())
        let request = CGIRequest.get(
            "/push/a",
            ["HTTP_HOLDFAST_READ": "**", "HTTP_HOLDFAST_BASE": "/x/"]
        )
        #expect(closed.refusal(request) == "read_forbidden")
    }

    @Test(arguments: ["live", "ready", "chat", "chat.js", "chat.css", "messages/k7f2-1"])
    func `the service's own paths are public but for what they show`(name: String) {
        if case .answer = http.intent(of: .get("/push/-/" + name), random: 0) {
            Issue.record("refused")
        }
    }

    @Test(arguments: ["metrics", "status", "channels", "channels/a"])
    func `what the operator sees needs the operator`(name: String) {
        let uri = "/push/-/" + name
        #expect(http.refusal(.get(uri)) == "operator_only")
        for value in ["", "0", "off", "OFF"] {
            #expect(http.refusal(.get(uri, ["HOLDFAST_OPERATOR": value])) == "operator_only")
        }
        if case .answer = http.intent(of: .get(uri, ["HOLDFAST_OPERATOR": "1"]), random: 0) {
            Issue.record("refused")
        }
    }

    @Test(arguments: [
        ("PUT", "/push/a", "GET, HEAD, QUERY, POST, DELETE, OPTIONS"),
        ("get", "/push/a", "GET, HEAD, QUERY, POST, DELETE, OPTIONS"),
        ("POST", "/push/-/live", "GET, HEAD, OPTIONS"),
        ("DELETE", "/push/-/messages/k7f2-1", "GET, HEAD, OPTIONS"),
        ("POST", "/sub", "GET, HEAD, OPTIONS"), ("GET", "/pub", "POST, OPTIONS"),
        ("HEAD", "/pub", "POST, OPTIONS"), ("POST", "/debug", "GET, HEAD, OPTIONS"),
    ])
    func `other methods are told which ones there are`(method: String, uri: String, allow: String) {
        let http = HTTPInterface.open { $0.endpoints = classicEndpoints }
        let reply = http.answer(CGIRequest(["REQUEST_METHOD": method, "REQUEST_URI": uri]))
        if method == "HEAD" { return }
        #expect(reply?.status == 405)
        #expect(reply?["Allow"] == allow)
    }

    @Test func `QUERY reads what a form names, and says which forms there are`() throws {
        func query(_ uri: String, _ type: String?, _ body: String) -> CGIRequest {
            CGIRequest(
                [("REQUEST_METHOD", "QUERY"), ("REQUEST_URI", uri)]
                    + (type.map { [("CONTENT_TYPE", $0)] } ?? []),
                body: Array(body.utf8)
            )
        }
        let form = "application/x-www-form-urlencoded"
        let poll = try #require(http.poll(query("/push/a", form, "channel=b&since=k7f2-5")))
        #expect(poll.subscription.channels.map(\.text) == ["a", "b"])
        #expect(poll.start == .cursor(cursor(5)))
        let reply = try #require(Reply(poll.answer(reading(), epoch: epoch)))
        #expect(reply["Link"] == nil)
        for type in ["application/json", nil] {
            let refused = try #require(http.answer(query("/push/a", type, "{}")))
            #expect(refused.status == 415 && refused["Accept-Query"] == form)
        }
        let options = CGIRequest(["REQUEST_METHOD": "OPTIONS", "REQUEST_URI": "/push/a"])
        #expect(http.answer(options)?["Accept-Query"] == form)
        let fixed = HTTPInterface.open { $0.endpoints = classicEndpoints }
        #expect(fixed.refusal(query("/sub", form, "")) == "method_not_allowed")
        #expect(http.refusal(query("/push/-/live", form, "")) == "method_not_allowed")
    }

    @Test(arguments: [
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.4,*/*;q=0.3", true),
        ("application/openmetrics-text; version=1.0.0", true), ("*/*", false),
        ("text/plain", false), ("application/openmetrics-text;q=0, */*", false),
        ("application/openmetrics-text;q=0.2,text/plain;version=0.0.4;q=0.5", false),
    ])
    func `figures are OpenMetrics for clients that prefer it`(accept: String, isOpenMetrics: Bool)
        throws
    {
        let request = CGIRequest.get(
            "/push/-/metrics",
            ["HOLDFAST_OPERATOR": "1", "HTTP_ACCEPT": accept]
        )
        guard case .metrics(let format, _) = http.intent(of: request, random: 0) else {
            Issue.record("no figures")
            return
        }
        #expect(format == (isOpenMetrics ? .openMetrics : .prometheus))
    }

    @Test func `a POST that reads takes its parameters from a form and publishes nothing`() throws {
        let form = ["CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8"]
        let names = (1...60).map { "channel=c/\($0)" }.joined(separator: "&")
        let request = CGIRequest(
            [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/push/a?op=read&wait=1")]
                + form.map { ($0, $1) },
            body: Array("\(names)&wait=20&since=k7f2-5&limit=7".utf8)
        )
        let poll = try #require(http.poll(request))
        #expect(poll.subscription.channels.count == 61)
        #expect(poll.start == .cursor(cursor(5)))
        #expect(poll.waitMilliseconds > 1000)
        #expect(poll.subscription.messageLimit == 7)
        // A URL cannot repeat what the body said.
        let reply = try #require(Reply(poll.answer(reading(), epoch: epoch)))
        #expect(reply["Link"] == nil)
        #expect(http.refusal(.post("/push/a?op=write")) == "unknown_operation")
        #expect(http.refusal(.post("/push/a?op=read")) == "unsupported_media_type")
        let elsewhere = CGIRequest(
            [
                ("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/push/a?op=read"),
                ("HTTP_ORIGIN", "https://elsewhere.example"), ("HTTP_HOST", "here"),
                ("CONTENT_TYPE", MediaType.form),
            ],
            body: []
        )
        #expect(http.poll(elsewhere) != nil)
    }

    @Test(arguments: ["01", "yess", "no", "false", "none", "disabled", "$remote_user", "2", " 1"])
    func `a value of HOLDFAST_OPERATOR that is not a yes grants nothing`(value: String) {
        let request = CGIRequest.get("/push/-/status", ["HOLDFAST_OPERATOR": value])
        #expect(http.refusal(request) == "operator_only")
    }

    @Test(arguments: ["1", "on", "On", "YES", "True"])
    func `HOLDFAST_OPERATOR grants by a clear yes`(value: String) {
        let request = CGIRequest.get("/push/-/status", ["HOLDFAST_OPERATOR": value])
        if case .answer = http.intent(of: request, random: 0) { Issue.record("refused") }
    }

    @Test(arguments: ["chat.svg", "holdfast.js", "nothing", "a-1.min.css"])
    func `a page is looked up by name, whether it exists or not`(name: String) {
        guard case .page(let page) = http.intent(of: .get("/push/-/" + name), random: 0) else {
            return #expect(Bool(false))
        }
        #expect(page.name == name)
        #expect(Reply(page.notFound())?.code == "not_found")
    }
}
