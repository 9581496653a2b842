import Channels
import Configuration
import Testing

@testable import Endpoint

/// Several messages in one request, and none: NDJSON and DELETE.
@Suite struct BatchTests {
    private let http = HTTPInterface.open {
        $0.limits.messageBytes = 40
        $0.limits.batchBytes = 200
        $0.limits.batchMessages = 6
    }

    private func batch(_ body: String, to channels: String = "a") -> CGIRequest {
        .post("/push/\(channels)", ["CONTENT_TYPE": "Application/X-NDJSON"], body: body)
    }

    @Test(arguments: [
        ("1\n2\n3", ["1", "2", "3"]), ("{ \"a\": 1 }\r\n\r\n\n[ ]\n", ["{\"a\":1}", "[]"]),
        ("\"x\"", ["\"x\""]), (" \n\t\nnull\n", ["null"]),
    ])
    func `each line is a message`(body: String, kept: [String]) throws {
        let publication = try #require(http.publication(batch(body)))
        #expect(publication.drafts.map { String(decoding: $0.body, as: UTF8.self) } == kept)
        #expect(publication.drafts.allSatisfy { $0.kind == .json })
    }

    @Test func `several channels get each line, one line after the other`() throws {
        let publication = try #require(http.publication(batch("1\n2", to: "a,b")))
        #expect(
            publication.drafts.map { "\($0.channel)\(String(decoding: $0.body, as: UTF8.self))" }
                == ["a1", "b1", "a2", "b2"]
        )
    }

    @Test(arguments: [
        ("", "empty_batch", 400), ("\n \n", "empty_batch", 400), ("1\n{\n3", "invalid_json", 400),
        ("1\n2\n3\n4\n5\n6\n7", "batch_too_large", 413),
        ("1\n\"\(String(repeating: "x", count: 40))\"", "message_too_large", 413),
        (String(repeating: " ", count: 201), "batch_too_large", 413),
    ])
    func `a batch with anything wrong in it is refused whole`(
        body: String,
        code: String,
        status: Int
    ) {
        let reply = http.answer(batch(body))
        #expect(reply?.code == code)
        #expect(reply?.status == status)
    }

    @Test func `a problem names its line`() {
        #expect(http.answer(batch("1\n\n{\n3"))?.body.contains("Line 3: ") == true)
    }

    @Test func `the only line of a batch was numbered, and pub had to cut the number off`() {
        for body in ["{", "{\n"] {
            #expect(http.answer(batch(body))?.code == "invalid_json")
            #expect(http.answer(batch(body))?.body.contains("Line ") == false)
        }
        #expect(http.answer(batch("\n{\n"))?.body.contains("Line 2: ") == true)
    }

    @Test func `lines times channels are bounded too`() {
        #expect(http.publication(batch("1\n2\n3", to: "a,b")) != nil)
        #expect(http.refusal(batch("1\n2\n3\n4", to: "a,b")) == "batch_too_large")
    }

    @Test func `a batch whose body was dropped is told the batch's limit`() {
        var request = batch("")
        request.bodyDropped = true
        #expect(http.refusal(request) == "batch_too_large")
    }

    @Test func `DELETE drops the channels it names and answers 204`() throws {
        let request = CGIRequest([
            ("REQUEST_METHOD", "DELETE"), ("REQUEST_URI", "/push/a,b?channel=c"),
        ])
        let publishing = try #require(http.publishing(request))
        #expect(publishing.publication.drafts.isEmpty)
        #expect(publishing.publication.dropping.map(\.text) == ["a", "b", "c"])
        let reply = try #require(Reply(publishing.answer(.committed(ids: []))))
        #expect(reply.status == 204)
        #expect(reply.body == "")
    }

    @Test func `DELETE needs the right to publish, and a page of this origin`() {
        let closed = HTTPInterface(settings: Settings())
        let request = CGIRequest([("REQUEST_METHOD", "DELETE"), ("REQUEST_URI", "/push/a")])
        #expect(closed.refusal(request) == "publish_forbidden")
        let foreign = CGIRequest([
            ("REQUEST_METHOD", "DELETE"), ("REQUEST_URI", "/push/a"),
            ("HTTP_ORIGIN", "https://elsewhere.example"), ("HTTP_HOST", "here"),
        ])
        #expect(http.refusal(foreign) == "cross_site_write")
    }

    @Test func `a publisher's quota is its own, or else the general one`() {
        let http = HTTPInterface.open { settings in
            var everybody = QuotaRule(publisher: "*")
            everybody.limits.messages = 5
            var anna = QuotaRule(publisher: "anna")
            anna.limits.bytes = 1000
            settings.quotas = [everybody, anna]
        }
        let plain = http.publication(.post("/push/a", body: "x"))
        #expect(plain?.quota?.messages == 5)
        let named = http.publication(.post("/push/a", ["HOLDFAST_USER": "anna"], body: "x"))
        #expect(named?.quota?.messages == nil)
        #expect(named?.quota?.bytes == 1000)
        #expect(self.http.publication(.post("/push/a", body: "x"))?.quota == nil)
    }

    @Test func `a used up quota is answered 429, with the time where waiting helps`() throws {
        let publishing = try #require(http.publishing(.post("/push/a", body: "x")))
        let wait = try #require(Reply(publishing.answer(.overQuota(retrySeconds: 7))))
        #expect(wait.status == 429)
        #expect(wait["Retry-After"] == "7")
        let never = try #require(Reply(publishing.answer(.overQuota(retrySeconds: nil))))
        #expect(never.status == 429)
        #expect(never["Retry-After"] == nil)
    }

    @Test func `a listing of channels pages by name`() throws {
        let request = CGIRequest.get("/push/-/channels?after=a&limit=2", ["HOLDFAST_OPERATOR": "1"])
        guard case .channels(let listing) = http.intent(of: request, random: 0) else {
            Issue.record("no listing")
            return
        }
        #expect(listing.selection == .after(channel("a"), limit: 2))
        let found = ChannelListing(
            entries: [
                .init(
                    name: channel("b"),
                    messages: 2,
                    bytes: 30,
                    newest: cursor(31),
                    newestMilliseconds: 0
                ),
                .init(
                    name: channel("c"),
                    messages: 0,
                    bytes: 0,
                    newest: nil,
                    newestMilliseconds: nil
                ),
            ],
            next: channel("c")
        )
        let reply = try #require(Reply(listing.answer(found, held: { $0.text == "b" ? 4 : 0 })))
        #expect(
            reply.body
                == #"{"channels":[{"channel":"b","messages":2,"bytes":30,"newest":"k7f2-1f","#
                + #""time":"1970-01-01T00:00:00.000Z","held":4},"#
                + #"{"channel":"c","messages":0,"bytes":0,"newest":null,"time":null,"held":0}],"#
                + "\"next\":\"c\"}\n"
        )
    }

    @Test func `one channel is found by its name or not at all`() throws {
        let request = CGIRequest.get("/push/-/channels/c", ["HOLDFAST_OPERATOR": "1"])
        guard case .channels(let one) = http.intent(of: request, random: 0) else {
            Issue.record("no listing")
            return
        }
        func found(_ name: String) -> ChannelListing {
            ChannelListing(
                entries: [
                    .init(
                        name: channel(name),
                        messages: 0,
                        bytes: 0,
                        newest: nil,
                        newestMilliseconds: nil
                    )
                ],
                next: nil
            )
        }
        #expect(Reply(one.answer(found("c"), held: { _ in 0 }))?.status == 200)
        #expect(Reply(one.answer(found("d"), held: { _ in 0 }))?.code == "channel_not_found")
    }
}
