import Channels
import Testing

@testable import Core

@Suite struct `The audience` {
    private func message(_ offset: Int64, _ name: String) -> Message {
        Message(
            offset: Offset(offset),
            epoch: epoch("aaaa"),
            channel: channel(name),
            timeMilliseconds: 0,
            kind: .text,
            contentType: "text/plain",
            body: [65]
        )
    }

    private func mark(
        _ name: String,
        _ through: Int64,
        _ reason: GapReason = .trimmed
    ) -> TrimMark {
        TrimMark(channel: channel(name), through: Offset(through), reason: reason)
    }

    private func names(_ texts: String...) -> [ChannelName] { texts.map { try! ChannelName($0) } }

    private func batch(_ messages: [Message], trims: [TrimMark] = []) -> CommittedBatch {
        CommittedBatch(
            previous: Offset(0),
            head: messages.last?.offset ?? Offset(9),
            messages: messages,
            trims: trims
        )
    }

    @Test func `equal interests are one, and live as long as a request holds them`() {
        var audience = Audience<String>()
        let first = audience.join("chat", channels: names("chat"))
        let second = audience.join("chat", channels: names("chat"))
        #expect(first == second && audience.count == 1)
        audience.leave(first)
        #expect(audience.shares(of: batch([message(1, "chat")])).count == 1)
        audience.leave(second)
        #expect(audience.count == 0)
        #expect(audience.shares(of: batch([message(1, "chat")])).isEmpty)
    }

    @Test func `a place that is used again does not stand for the interest that had it`() {
        var audience = Audience<String>()
        let first = audience.join("a", channels: names("a"))
        audience.leave(first)
        let second = audience.join("b", channels: names("b"))
        #expect(second == first)
        let third = audience.join("a", channels: names("a"))
        #expect(third != second && audience.count == 2)
        #expect(audience.join("b", channels: names("b")) == second)
        audience.leave(third)
        #expect(audience.join("a", channels: names("a")) == third)
        #expect(audience[third] == "a" && audience[second] == "b")
        #expect(audience.holders(of: channel("b")) == 2)
    }

    @Test func `a list of channels was stored once for each wording of it`() {
        var audience = Audience<String>()
        let kept = names("a", "b", "c")
        let id = audience.join("a,b,c?z=1", channels: kept)
        func address(_ list: [ChannelName]) -> UInt {
            list.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
        }
        let equal = names("a", "b", "c")
        #expect(address(equal) != address(kept))
        #expect(address(audience.shared(equal)) == address(kept))
        #expect(audience.shared(names("a", "b")) == names("a", "b"))
        #expect(audience.shared([]) == [])
        audience.leave(id)
        #expect(address(audience.shared(equal)) == address(equal))
    }

    @Test func `each interest gets the messages of its channels, in order`() {
        var audience = Audience<String>()
        let one = audience.join("a", channels: names("a"))
        let both = audience.join("a,b", channels: names("a", "b"))
        _ = audience.join("c", channels: names("c"))
        let shares = audience.shares(
            of: batch([message(1, "b"), message(2, "a"), message(3, "x")])
        )
        #expect(shares.count == 2)
        #expect(shares.first { $0.id == one }?.messages.map(\.offset.value) == [2])
        #expect(shares.first { $0.id == both }?.messages.map(\.offset.value) == [1, 2])
    }

    @Test func `only a mark inside the batch's own range is a gap for waiting requests`() {
        var audience = Audience<String>()
        _ = audience.join("a", channels: names("a"))
        let before = CommittedBatch(
            previous: Offset(9),
            head: Offset(9),
            messages: [],
            trims: [mark("a", 5)]
        )
        #expect(audience.shares(of: before).isEmpty)
        let inside = CommittedBatch(
            previous: Offset(3),
            head: Offset(9),
            messages: [message(4, "a"), message(8, "a")],
            trims: [mark("a", 5, .deleted)]
        )
        let shares = audience.shares(of: inside)
        #expect(shares.first?.gap == .deleted)
        #expect(shares.first?.messages.map(\.offset.value) == [8])
    }
}
