import Harness
import Testing

/// Bugs of bodies that are not what their length says, named after what went wrong.
@Suite struct CGIBodyTests {
    private func bridge(_ server: HoldfastServer, length: String?) throws -> HTTPAnswer {
        var environment = [
            "REQUEST_METHOD": "POST", "REQUEST_URI": "/push/a", "CONTENT_TYPE": "text/plain",
        ]
        environment["CONTENT_LENGTH"] = length
        let run = try server.command("cgi", environment: environment, input: "hello")
        return try HTTPAnswer(document: Array(run.output.utf8))
    }

    @Test(arguments: ["50", "abc", "5 ", "-2", "99999999999999999999"])
    func `CGI published what came of a body with another length`(length: String) throws {
        try HoldfastServer.with { server in
            let answer = try bridge(server, length: length)
            #expect(answer.status == 400)
            #expect(try answer.json["code"] == "incomplete_body")
            #expect(try server.metrics()["holdfast_messages_total"] == 0)
            try waitUntil("it has gone") { try server.metrics().connections == 1 }
        }
    }

    @Test func `CGI publishes a body of the length that it has`() throws {
        try HoldfastServer.with { server in
            for length in ["5", nil, "", "-1"] {
                let answer = try bridge(server, length: length)
                #expect(answer.status == 201)
            }
            // Without a length there is no body (RFC 3875 §4.2), unless it is a chunked one.
            #expect(try server.texts("a") == ["hello", "", "", ""])
        }
    }

    @Test func `FastCGI published what came of a body that was cut off`() throws {
        try HoldfastServer.with { server in
            func post(_ target: String, _ type: String, _ body: String, _ length: String?) throws
                -> HTTPAnswer
            {
                var request = FastCGIRequest("POST", target, params: [("CONTENT_TYPE", type)])
                request.body = Array(body.utf8)
                if let length { request.params.append(("CONTENT_LENGTH", length)) }
                return try server.exchange(request)
            }
            let form = "application/x-www-form-urlencoded"
            for (target, type, body) in [
                ("/push/a", "text/plain", "hello"), ("/push/a", "application/x-ndjson", "1\n2\n"),
                ("/push/?op=read", form, "channel=a"),
            ] {
                let cut = try post(target, type, body, "50")
                #expect(cut.status == 400)
                #expect(try cut.json["code"] == "incomplete_body")
            }
            #expect(try server.metrics()["holdfast_messages_total"] == 0)
            for length in [nil, "", "-1", "5"] {
                #expect(try post("/push/a", "text/plain", "hello", length).status == 201)
            }
            #expect(try server.metrics()["holdfast_messages_total"] == 4)
        }
    }
}
