import Diagnosis
import Testing

@Suite struct RecognitionTests {
    @Test(arguments: [
        ("nginx/1.22.1", FrontEnd.nginx), ("nginx", .nginx), ("openresty/1.21", .nginx),
        ("lighttpd/1.4.69", .lighttpd), ("Apache/2.4.62 (Debian)", .apache), ("Caddy", .caddy),
        ("HAProxy", .haproxy), ("cloudflare", .unknown), ("", .unknown),
    ])
    func `a server is recognised by what it calls itself`(software: String, server: FrontEnd) {
        #expect(FrontEnd(software: software) == server)
    }

    @Test(arguments: Remedy.allCases, FrontEnd.allCases)
    func `there is something to change for every problem at every server`(
        remedy: Remedy,
        server: FrontEnd
    ) {
        let advice = remedy.advice(for: server)
        #expect(!advice.isEmpty)
        for line in advice where server != .unknown {
            #expect(line.hasPrefix(server.name + ": "))
        }
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
    func `what is no head is none`(text: String) {
        #expect(AnswerHead(text) == nil)
    }

    @Test(arguments: ["respond-async", "wait", "wait=", "wait=x"])
    func `another preference grants no time`(value: String) throws {
        let head = try #require(AnswerHead("HTTP/1.1 200\r\nPreference-Applied: \(value)"))
        #expect(head.grantedWaitSeconds == nil)
    }
}
