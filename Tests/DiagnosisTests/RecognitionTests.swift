import Diagnosis
import Testing

@Suite struct RecognitionTests {
    @Test(arguments: [
        ("nginx/1.22.1", ServerKind.nginx), ("nginx", .nginx), ("openresty/1.21", .nginx),
        ("lighttpd/1.4.69", .lighttpd), ("Apache/2.4.62 (Debian)", .apache), ("Caddy", .caddy),
        ("HAProxy", .haproxy), ("cloudflare", .unknown), ("", .unknown),
    ])
    func `a server is recognised by what it calls itself`(software: String, server: ServerKind) {
        #expect(ServerKind(software: software) == server)
    }

    @Test(arguments: Remedy.allCases, ServerKind.allCases)
    func `there is something to change for every problem at every server`(
        remedy: Remedy,
        server: ServerKind
    ) {
        let advice = remedy.advice(for: ServerChain(server))
        #expect(!advice.isEmpty)
        for line in advice where server != .unknown {
            #expect(line.hasPrefix(server.name + ": "))
        }
    }
}

@Suite struct ServerChainTests {
    private func head(_ fields: String...) throws -> AnswerHead {
        try #require(AnswerHead((["HTTP/1.1 200"] + fields).joined(separator: "\r\n")))
    }

    private func seen(_ software: String, forwarded: Bool = false, holds: Int = 1)
        -> ServerChain.FrontEndReport
    {
        ServerChain.FrontEndReport(
            software: software,
            isForwarded: forwarded,
            isProbed: false,
            holds: holds
        )
    }

    @Test(arguments: [
        ("Server: nginx/1.22.1", "nginx/1.22.1", false, ServerKind?.none),
        ("Server: nginx", "nginx/1.22.1", true, .unknown),
        ("Server: nginx\r\nVia: 1.1 varnish (Varnish/7.1)", "nginx", true, .varnish),
        ("Server: nginx\r\nVia: 1.1 a, 1.1 b (squid/5.7)", "nginx", true, .squid),
        ("Server: Apache", "nginx/1.22.1", false, .apache),
        ("Server: something", "nginx/1.22.1", false, nil),
    ])
    func `a proxy is recognised by what it adds`(
        fields: String,
        software: String,
        forwarded: Bool,
        proxy: ServerKind?
    ) throws {
        let servers = ServerChain(try head(fields), seen(software, forwarded: forwarded))
        #expect(servers.server == .nginx)
        #expect(servers.proxy == proxy)
    }

    @Test func `without the responder's word the answer tells what it can`() throws {
        #expect(ServerChain(try head("Server: nginx"), nil) == ServerChain(.nginx))
        #expect(
            ServerChain(try head("Server: nginx", "Via: 1.1 varnish (Varnish/7.1)"), nil).proxy
                == .varnish
        )
    }

    @Test func `of several front ends the one that has counted the request is it`() throws {
        let nginx = try head("Server: nginx")
        let before = [seen("nginx", holds: 3), seen("nginx", forwarded: true, holds: 5)]
        var after = before
        #expect(ServerChain.reportOfRequest(before, after, nginx) == nil)
        after[1].holds += 1
        #expect(ServerChain.reportOfRequest(before, after, nginx) == after[1])
        let apache = [seen("Apache"), seen("nginx")]
        #expect(ServerChain.reportOfRequest(apache, apache, nginx) == apache[1])
    }

    @Test func `a server that answers without its name is known by the request it passed on`()
        throws
    {
        let nameless = try head("Content-Type: application/json")
        let before = [seen("HAProxy 2.6.12", holds: 3), seen("nginx", holds: 5)]
        var after = before
        after[0].holds += 1
        let servers = ServerChain(nameless, ServerChain.reportOfRequest(before, after, nameless))
        #expect(servers == ServerChain(.haproxy, isForwarded: false))
        after[1].holds += 1
        #expect(ServerChain.reportOfRequest(before, after, nameless) == nil)
    }

    @Test(arguments: ServerKind.proxies)
    func `the proxy must change, not the server behind it that shows departures`(proxy: ServerKind)
    {
        let advice = Remedy.hidesDepartures.advice(for: ServerChain(.nginx, proxy: proxy))
        #expect(!advice.isEmpty)
        for line in advice { #expect(line.hasPrefix("\(proxy.name), the proxy: ")) }
    }

    @Test func `a proxy that does not say its name gets the lines of each kind`() {
        let advice = Remedy.hidesDepartures.advice(for: ServerChain(.nginx, proxy: .unknown))
            .joined(separator: "\n")
        for words in [
            "option abortonclose", "return (pipe);", "quick_abort_min", "proxy_ignore_client_abort",
            "tcp-fin-propagate", "Apache: it does not watch",
        ] { #expect(advice.contains(words), "\(words)") }
        #expect(!advice.contains("fastcgi_ignore_client_abort"))
    }

    @Test func `probes are not advised where they are already sent`() {
        func finding(_ within: Int?) -> Finding {
            DepartureObservation(
                version: "1.1",
                count: 5,
                patienceSeconds: 30,
                grantedSeconds: 55,
                foundWithinMilliseconds: within,
                outcome: .watched(.init(gone: 0, milliseconds: 30_000, endings: [:]))
            ).finding(behind: ServerChain(.nginx, proxy: .varnish))
        }
        #expect(finding(nil).advice.contains { $0.contains("HOLDFAST_PROBE on") })
        let probed = finding(20_000)
        #expect(!probed.advice.contains { $0.contains("HOLDFAST_PROBE") })
        #expect(probed.sentence.contains("probes do not reach"))
    }
}

@Suite struct AnswerBytesTests {
    private static let text =
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        + "HTTP/2 200 \r\nServer: nginx\r\nVary: a\r\nvary:  b:c\r\nPreference-Applied: wait=25\r\n\r\n"
        + "one\r\n\r\ntwo"

    @Test func `head and body are told apart wherever the bytes are cut`() {
        let bytes = Array(Self.text.utf8)
        for cut in 0...bytes.count {
            var answer = AnswerBytes()
            answer.take(bytes[..<cut])
            answer.take(bytes[cut...])
            #expect(answer.head?.status == 200)
            #expect(answer.head?.version == "2")
            #expect(answer.head?["server"] == "nginx")
            #expect(answer.head?.all("vary") == ["a", "b:c"])
            #expect(answer.head?.grantedWaitSeconds == 25)
            #expect(answer.body == Array("one\r\n\r\ntwo".utf8))
        }
    }

    @Test(arguments: ["", "HTTP/1.1", "HTTP/1.1 x", "SSH-2.0", "HTTP/1.1 \r\n"])
    func `a text that is not a head is rejected`(text: String) {
        #expect(AnswerHead(text) == nil)
    }

    @Test(arguments: ["respond-async", "wait", "wait=", "wait=x"])
    func `another preference grants no time`(value: String) throws {
        let head = try #require(AnswerHead("HTTP/1.1 200\r\nPreference-Applied: \(value)"))
        #expect(head.grantedWaitSeconds == nil)
    }
}
