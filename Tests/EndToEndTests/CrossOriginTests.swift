import Harness
import Testing

/// Pages of other origins: closed by default, listed exactly, and writes need more than closed CORS.
@Suite struct CrossOriginTests {
    private let page = "https://www.example.org"
    private let listed =
        HoldfastServer.open + "[cors]\norigins = https://www.example.org, http://127.0.0.1:8081\n"

    @Test func `a listed origin may read answers, held and wrong ones too`() throws {
        try HoldfastServer.with(listed) { server in
            let answer = try server.get("/push/news", ["Origin": page])
            #expect(answer["Access-Control-Allow-Origin"] == page)
            #expect(answer["Access-Control-Allow-Credentials"] == "true")
            let problem = try server.get("/push/news?since=%00", ["Origin": page])
            #expect(problem.status == 400)
            #expect(problem["Access-Control-Allow-Origin"] == page)
            let other = try server.get("/push/news", ["Origin": "https://example.org"])
            #expect(other.status == 200)
            #expect(other["Access-Control-Allow-Origin"] == nil)
            #expect(other["Vary"]?.contains("Origin") == true)
        }
    }

    @Test func `two origins that hold the same poll get an answer each of its own`() throws {
        try HoldfastServer.with(listed) { server in
            let origins = [page, "http://127.0.0.1:8081", "https://evil.example"]
            let peers = try origins.map { origin in
                let peer = try server.peer()
                try peer.send(
                    FastCGIRequest("GET", "/push/news?wait=25", fields: ["Origin": origin])
                )
                return peer
            }
            try server.waitForHeld(3)
            try server.publish("news", "x")
            let allowed = try peers.map { try $0.answer()["Access-Control-Allow-Origin"] }
            #expect(allowed == [origins[0], origins[1], nil])
        }
    }

    @Test func `a preflight is answered without rights`() throws {
        try HoldfastServer.with("[cors]\norigins = https://www.example.org\n") { server in
            let fields = [
                "Origin": page, "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type,idempotency-key",
            ]
            let answer = try server.exchange(
                FastCGIRequest("OPTIONS", "/push/news", fields: fields)
            )
            #expect(answer.status == 204)
            #expect(answer["Access-Control-Allow-Origin"] == page)
            #expect(answer["Access-Control-Allow-Methods"]?.contains("POST") == true)
            let allowed = answer["Access-Control-Allow-Headers"]?.lowercased() ?? ""
            #expect(allowed.contains("content-type") && allowed.contains("idempotency-key"))
            #expect(answer["Access-Control-Max-Age"] == "600")
        }
    }

    @Test(arguments: [
        (["Origin": "https://evil.example"], 403),
        (["Origin": "null"], 403),
        (["Sec-Fetch-Site": "cross-site"], 403),
        (["Origin": "https://www.example.org", "Sec-Fetch-Site": "cross-site"], 201),
        (["Origin": "http://here:8080"], 201),
        (["Origin": "http://here:8081"], 403),
        (["Sec-Fetch-Site": "same-origin"], 201),
        ([:], 201),
    ])
    func `a write from another site is refused unless it is listed`(
        fields: [String: String],
        status: Int
    ) throws {
        try HoldfastServer.with(listed) { server in
            let fields = fields.merging(["Host": "here:8080"]) { $1 }
            let answer = try server.post("/push/news", "x", fields: fields)
            #expect(answer.status == status)
            let count = try server.get("/push/news?since=first").json["messages"].array.count
            #expect(count == (status == 201 ? 1 : 0))
        }
    }

    @Test func `any origin may be let in, without credentials`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[cors]\norigins = *\n") { server in
            let answer = try server.get("/push/news", ["Origin": page])
            #expect(answer["Access-Control-Allow-Origin"] == "*")
            #expect(answer["Access-Control-Allow-Credentials"] == nil)
        }
    }
}
