import Testing

@testable import Endpoint

/// The names under which requests can be found again.
@Suite struct RequestNameTests {
    private func name(_ text: String) -> String? {
        Array(text.utf8).withUnsafeBytes { RequestName($0)?.text }
    }

    @Test func `a name is taken whole or not at all`() {
        for good in [
            "0123456789abcdef0123456789abcdef", "Zk2Vx8CoABEAAB5h@yoAAAAB", "a",
            "3f2c-1d.~_+/=:@", String(repeating: "x", count: 64),
        ] {
            #expect(name(good) == good)
        }
        for bad in [
            "", String(repeating: "x", count: 65), "a b", "a\n", "a\rlevel=error", "a\"b", "a\\b",
            "ä", "a\0b", "<b>", "a,b",
        ] {
            #expect(name(bad) == nil)
        }
        for byte in UInt8.min...UInt8.max {
            let taken = [byte].withUnsafeBytes { RequestName($0)?.utf8 }
            #expect(taken == nil || (taken == [byte] && byte > 0x20 && byte < 0x7F))
        }
    }

    @Test(
        arguments: [
            (0, 0, "00000000-0"), (0xDEAD_BEEF, 9, "deadbeef-9"), (1, 10, "00000001-10"),
            (UInt32.max, UInt64.max, "ffffffff-18446744073709551615"),
        ] as [(UInt32, UInt64, String)]
    )
    func `Holdfast's own name is the process and a number`(
        process: UInt32,
        number: UInt64,
        text: String
    ) {
        let own = RequestName(process: process, number: number)
        #expect(own.text == text && name(text) == text)
    }

    @Test func `the web server's parameter counts before Apache's, and a client's field never`() {
        func name(_ variables: KeyValuePairs<String, String>) -> String? {
            CGIRequest(variables).name?.text
        }
        #expect(name(["HOLDFAST_REQUEST_ID": "one", "UNIQUE_ID": "two"]) == "one")
        #expect(name(["UNIQUE_ID": "two", "HOLDFAST_REQUEST_ID": "one"]) == "one")
        #expect(name(["UNIQUE_ID": "two", "HOLDFAST_REQUEST_ID": ""]) == "two")
        #expect(name(["HOLDFAST_REQUEST_ID": "", "UNIQUE_ID": "two"]) == "two")
        #expect(name(["HTTP_HOLDFAST_REQUEST_ID": "three", "HTTP_UNIQUE_ID": "four"]) == nil)
        #expect(name(["HTTP_X_REQUEST_ID": "three"]) == nil)
    }

    @Test(arguments: [false, true])
    func `a problem tells the name of its request, and its length is right`(headOnly: Bool) throws {
        let shape = Shape(origin: .silent, headOnly: headOnly)
        let own = RequestName(process: 7, number: 12)
        for problem in [Problem.notFound, .busy, Problem(.badRequest, "x", "")] {
            let plain = shape.answer(problem)
            let reply = try #require(Reply(plain.named(own), headOnly: headOnly))
            let document = Shape(origin: .silent, headOnly: false).answer(problem).named(own)
            #expect(reply["Holdfast-Request-ID"] == "00000007-12")
            #expect(reply["Content-Length"] == "\(document.body.count)")
            #expect(headOnly == reply.body.isEmpty)
            if !headOnly {
                #expect(reply.body.hasSuffix(#","request":"00000007-12"}"# + "\n"))
                #expect(reply.code == problem.code.description)
                let member = #","request":"00000007-12""#
                #expect(
                    reply.body.replacing(member, with: "")
                        == String(decoding: plain.body, as: UTF8.self)
                )
            }
        }
        let other = shape.plain("text/plain", "x")
        #expect(!other.isProblem && other.named(own).document == other.document)
    }

    @Test func `the path for the log has no query, and an end`() {
        #expect(CGIRequest.get("/push/a?access_token=SECRET").tracedPath == "/push/a")
        #expect(CGIRequest(["SCRIPT_NAME": "/push", "PATH_INFO": "/a"]).tracedPath == "/push/a")
        let long = "/" + String(repeating: "ä", count: 1000)
        #expect(CGIRequest.get(long).tracedPath.utf8.count <= 515)
    }
}
