import Channels
import Configuration
import Testing

@testable import Endpoint

/// What comes when there is nothing, and that no gap is lost on the way.
@Suite struct TimeoutTests {
    private func poll(
        _ onTimeout: FixedEndpoint.OnTimeout,
        _ format: FixedEndpoint.Format = .json,
        query: String = "wait=5"
    ) throws -> Poll {
        var endpoint = FixedEndpoint(path: "/x", action: .subscribe)
        endpoint.channels = [channel("news")]
        endpoint.format = format
        endpoint.onTimeout = onTimeout
        let http = HTTPInterface.open { $0.endpoints = [endpoint] }
        return try #require(http.poll(.get("/x?" + query)))
    }

    @Test func `204 instead of an empty batch does not swallow a gap`() throws {
        let poll = try poll(.noContent)
        for answer in [
            poll.answer(reading(gap: .trimmed), epoch: epoch),
            poll.subscription.answer(reading(gap: .trimmed), epoch: epoch),
        ] {
            let reply = try #require(Reply(answer))
            #expect(reply.status == 200)
            #expect(reply.body.contains("\"gap\":{\"reason\":\"trimmed\",\"resumed\":\"k7f2-64\"}"))
        }
    }

    @Test func `every 204 has the cursor`() throws {
        let json = try #require(
            Reply(poll(.noContent).subscription.answer(reading(), epoch: epoch))
        )
        #expect(json.status == 204)
        #expect(json["Holdfast-Cursor"] == "k7f2-64")
        #expect(json["Holdfast-Gap"] == nil)
        let bare = try #require(
            Reply(poll(.answer, .bare).subscription.answer(reading(gap: .deleted), epoch: epoch))
        )
        #expect(bare.status == 204)
        #expect(bare["Holdfast-Cursor"] == "k7f2-64")
        #expect(bare["Holdfast-Gap"] == "deleted")
    }

    @Test(arguments: [FixedEndpoint.Format.json, .bare], ["", "wait=0", "wait=5"])
    func `an immediate answer is never a closed connection`(
        format: FixedEndpoint.Format,
        query: String
    ) throws {
        let answer = try poll(.close, format, query: query).answer(reading(), epoch: epoch)
        #expect(!answer.closes)
        // A client that waits for a message cannot use an empty answer, also when the wait ends at once (SIGTERM).
        let empty = format == .json ? 200 : 204
        #expect(Reply(answer)?.status == (query == "wait=5" ? 503 : empty))
        let held = try poll(.close, format).subscription.answer(reading(), epoch: epoch)
        #expect(held.closes && held.document.isEmpty)
    }

    @Test(arguments: [FixedEndpoint.Format.json, .bare])
    func `503 instead of an empty answer carries the cursor and swallows no gap`(
        format: FixedEndpoint.Format
    ) throws {
        let poll = try poll(.unavailable, format)
        #expect(poll.subscription.startingEarly() == nil)
        for answer in [
            poll.answer(reading(), epoch: epoch),
            poll.subscription.answer(reading(), epoch: epoch, retryAfterSeconds: 3),
        ] {
            let reply = try #require(Reply(answer))
            #expect(reply.status == 503)
            #expect(reply["Content-Type"] == "application/problem+json")
            #expect(reply["Cache-Control"] == "no-store")
            #expect(reply.code == "nothing_new")
            #expect(reply["Holdfast-Cursor"] == "k7f2-64")
        }
        let gap = try #require(
            Reply(poll.subscription.answer(reading(gap: .trimmed), epoch: epoch))
        )
        #expect(gap.status == (format == .json ? 200 : 503))
        #expect(gap["Holdfast-Gap"] == "trimmed" || gap.body.contains("\"reason\":\"trimmed\""))
        let found = Reply(poll.subscription.answer(reading([message(9, "1")]), epoch: epoch))
        #expect(found?.status == 200)
    }

    @Test(arguments: [false, true])
    func `a gap known before a hold is told when the hold ends`(earlyHeaders: Bool) throws {
        let owing = try poll(.answer).subscription.owing(.restarted)
        let subscription = earlyHeaders ? try #require(owing.startingEarly()) : owing
        for messages in [[], [message(9, "1")]] {
            let reading = reading(messages, scanned: 9)
            let text = String(
                decoding: subscription.answer(reading, epoch: epoch).document,
                as: UTF8.self
            )
            #expect(text.contains("\"gap\":{\"reason\":\"restarted\""))
        }
        let bare = try self.poll(.answer, .bare).subscription.owing(.future)
        for messages in [[], [message(9, "1")]] {
            let reply = Reply(bare.answer(reading(messages, scanned: 9), epoch: epoch))
            #expect(reply?["Holdfast-Gap"] == "future")
        }
        // What happened during the hold is newer.
        let reply = Reply(bare.answer(reading(gap: .deleted), epoch: epoch))
        #expect(reply?["Holdfast-Gap"] == "deleted")
    }

    @Test func `a gap that is owed waits until there is more to say than a closed connection`()
        throws
    {
        let owing = try poll(.close).subscription.owing(.trimmed)
        #expect(owing.answer(reading(), epoch: epoch).closes)
        let reply = Reply(owing.answer(reading([message(9, "1")], scanned: 9), epoch: epoch))
        #expect(reply?.status == 200)
        #expect(reply?.body.contains("\"reason\":\"trimmed\"") == true)
        let noContent = try poll(.noContent).subscription.owing(.trimmed)
        #expect(Reply(noContent.answer(reading(), epoch: epoch))?.status == 200)
        let fails = try poll(.answer, query: "wait=5&on_gap=fail").subscription.owing(.trimmed)
        #expect(Reply(fails.answer(reading(), epoch: epoch))?.status == 410)
    }

    @Test func `a request that is owed a gap does not share the answer of others`() throws {
        let subscription = try poll(.answer).subscription
        #expect(subscription.owedGap == nil)
        #expect(subscription.owing(.trimmed).owedGap == .trimmed)
        #expect(subscription.owing(.trimmed) != subscription)
        #expect(subscription.owing(.trimmed) != subscription.owing(.deleted))
        #expect(subscription.owing(.trimmed) == subscription.owing(.trimmed))
    }

    @Test func `on_gap=fail keeps its status open, so that 410 stays possible`() throws {
        let poll = try poll(.answer, query: "wait=5&on_gap=fail")
        #expect(poll.subscription.startingEarly() == nil)
        let reply = Reply(poll.subscription.answer(reading(gap: .deleted), epoch: epoch))
        #expect(reply?.status == 410)
    }

    @Test(arguments: [FixedEndpoint.Format.json, .bare])
    func `a request that does not wait was told that its wait ran out`(format: FixedEndpoint.Format)
        throws
    {
        let ordinary = format == .json ? 200 : 204
        for onTimeout in [FixedEndpoint.OnTimeout.unavailable, .close] {
            var endpoint = FixedEndpoint(path: "/x", action: .subscribe)
            endpoint.channels = [channel("news")]
            endpoint.format = format
            endpoint.onTimeout = onTimeout
            endpoint.waitSeconds = 55
            let http = HTTPInterface.open { $0.endpoints = [endpoint] }
            var head = CGIRequest.get("/x")
            head.put("REQUEST_METHOD", Array("HEAD".utf8))
            for request in [head, .get("/x?wait=0")] {
                let poll = try #require(http.poll(request))
                #expect(poll.answer(reading(), epoch: epoch).status == ordinary)
            }
            // As the classic page asks.
            let poll = try #require(http.poll(.get("/x")))
            #expect(poll.answer(reading(), epoch: epoch).status == 503)
        }
    }
}
