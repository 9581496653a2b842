import Channels
import SeededRandom
import Testing

private let epoch = Epoch("aaaa")!

func message(
    _ offset: Int64,
    _ channel: String,
    bytes: Int = 1,
    expires: Int64? = nil,
    topic: String? = nil
) -> Message {
    Message(
        offset: Offset(offset),
        epoch: epoch,
        channel: try! ChannelName(channel),
        timeMilliseconds: 0,
        kind: .text,
        contentType: "text/plain",
        body: [UInt8](repeating: 65, count: bytes),
        expiresMilliseconds: expires,
        topic: topic
    )
}

func mark(_ channel: String, _ through: Int64, _ reason: GapReason = .trimmed) -> TrimMark {
    TrimMark(channel: try! ChannelName(channel), through: Offset(through), reason: reason)
}

@Suite struct `The tail in memory` {
    private func tail(
        head: Int64 = 0,
        floor: Int64 = 0,
        _ messages: [Message] = [],
        trims: [TrimMark] = [],
        messageLimit: Int = 100,
        byteLimit: Int = 10_000
    ) -> Tail {
        Tail(
            epochs: EpochHistory([.init(epoch: epoch, start: Offset(1), told: nil)]),
            head: Offset(head),
            floor: Offset(floor),
            messages: messages,
            trims: trims,
            messageLimit: messageLimit,
            byteLimit: byteLimit
        )
    }

    private func read(
        _ tail: Tail,
        _ channels: [String],
        after: Int64,
        limit: Int = 100,
        bytes: Int = 10_000,
        now: Int64 = 0
    ) -> HistoryPage? {
        tail.read(
            channels.map { try! ChannelName($0) },
            after: Offset(after),
            messageLimit: limit,
            byteLimit: bytes,
            now: now
        )
    }

    @Test func `nothing comes after the head, unless a trim mark does`() {
        var tail = tail(head: 4, floor: 1, [message(2, "a"), message(4, "b")])
        #expect(tail.hasNothing(after: Offset(4)))
        #expect(!tail.hasNothing(after: Offset(3)) && !tail.hasNothing(after: Offset(5)))
        for (through, hasNothing) in [(4, true), (5, false)] as [(Int64, Bool)] {
            tail.receive(
                CommittedBatch(
                    previous: Offset(4),
                    head: Offset(4),
                    messages: [],
                    trims: [mark("c", through)]
                )
            )
            #expect(tail.hasNothing(after: Offset(4)) == hasNothing)
            #expect((read(tail, ["c"], after: 4)?.gap == nil) == hasNothing)
        }
    }

    @Test func `a poll gets its channels' messages in the order of the log`() throws {
        let tail = tail(
            head: 4,
            [message(1, "a"), message(2, "b"), message(3, "c"), message(4, "a")]
        )
        let reading = try #require(read(tail, ["a", "b"], after: 0))
        #expect(reading.messages.map(\.offset.value) == [1, 2, 4])
        #expect(reading.scanned == Offset(4))
        #expect(!reading.more)
    }

    @Test func `what overlaps with what is known is taken in once`() {
        var tail = tail(head: 2, [message(1, "a"), message(2, "a")])
        let batch = CommittedBatch(
            previous: Offset(1),
            head: Offset(3),
            messages: [message(2, "a"), message(3, "a")],
            trims: []
        )
        let news = tail.receive(batch)
        #expect(news?.messages.map(\.offset.value) == [3])
        #expect(tail.receive(batch) == nil)
        #expect(read(tail, ["a"], after: 0)?.messages.map(\.offset.value) == [1, 2, 3])
    }

    @Test func `an answer is cut at its limits and goes on where it was cut`() throws {
        let tail = tail(head: 5, (1...5).map { message($0, "a", bytes: 10) })
        let first = try #require(read(tail, ["a"], after: 0, limit: 2))
        #expect(first.messages.map(\.offset.value) == [1, 2])
        #expect(first.more && first.scanned == Offset(2))
        let byBytes = try #require(read(tail, ["a"], after: 2, bytes: 25))
        #expect(byBytes.messages.map(\.offset.value) == [3, 4])
        #expect(byBytes.more)
        let large = try #require(read(tail, ["a"], after: 4, bytes: 1))
        #expect(large.messages.count == 1 && !large.more)
    }

    @Test func `messages that outlived their own time do not hide those behind them`() throws {
        let tail = tail(
            head: 4,
            [
                message(1, "a", expires: 10), message(2, "a", expires: 10),
                message(3, "a", expires: 10),
                message(4, "a"),
            ]
        )
        let reading = try #require(read(tail, ["a"], after: 0, limit: 1, now: 11))
        #expect(reading.messages.map(\.offset.value) == [4])
        #expect(reading.gap == nil)
    }

    @Test func `a mark beyond the cursor is told as a gap, and only then`() throws {
        var tail = tail(head: 3, [message(1, "a"), message(2, "a"), message(3, "b")])
        tail.receive(
            CommittedBatch(
                previous: Offset(3),
                head: Offset(4),
                messages: [message(4, "a")],
                trims: [mark("a", 2)]
            )
        )
        #expect(read(tail, ["a"], after: 1)?.gap == .trimmed)
        #expect(read(tail, ["a"], after: 1)?.messages.map(\.offset.value) == [4])
        #expect(read(tail, ["a"], after: 2)?.gap == nil)
        #expect(read(tail, ["b"], after: 0)?.gap == nil)
    }

    @Test func `a new message takes the place of its topic's earlier one without a gap`() throws {
        let tail = tail(
            head: 3,
            [message(1, "a", topic: "t"), message(2, "a"), message(3, "a", topic: "t")]
        )
        let reading = try #require(read(tail, ["a"], after: 0))
        #expect(reading.messages.map(\.offset.value) == [2, 3])
        #expect(reading.gap == nil)
    }

    @Test func `a message took the place of one whose topic Unicode calls the same`() throws {
        let topics = ["Jos\u{E9}", "Jose\u{301}", "Jos\u{E9}"]
        let tail = tail(
            head: 3,
            zip(1..., topics).map { message($0, "a", topic: $1) }
        )
        #expect(read(tail, ["a"], after: 0)?.messages.map(\.offset.value) == [2, 3])
    }

    @Test func `a topic's earlier message is found wherever it is, and where it is gone none is`() {
        var tail = tail(messageLimit: 40)
        var published: [Message] = []
        var trimmedThrough: Int64 = 0
        var number: UInt64 = 1
        func random(_ limit: Int64) -> Int64 {
            number = number &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int64(number >> 33) % limit
        }
        for offset in Int64(1)...2000 {
            let topic = random(3) == 0 ? nil : "topic \(random(random(2) == 0 ? 4 : 60))"
            let new = message(offset, random(4) == 0 ? "b" : "a", topic: topic)
            published.append(new)
            if random(9) == 0 { trimmedThrough = max(trimmedThrough, offset - random(30)) }
            tail.receive(
                CommittedBatch(
                    previous: Offset(offset - 1),
                    head: Offset(offset),
                    messages: [new],
                    trims: trimmedThrough > 0 ? [mark("a", trimmedThrough)] : []
                )
            )
            var topics: Set<String> = []
            let expected = published.suffix(80).reversed().filter { message in
                message.channel.text == "a" && message.offset > tail.floor
                    && message.offset.value > trimmedThrough
                    && message.topic.map { topics.insert($0).inserted } ?? true
            }.reversed().map(\.offset)
            let reading = read(tail, ["a"], after: tail.floor.value)
            guard reading?.messages.map(\.offset) == expected else {
                Issue.record("at \(offset): \(expected)")
                return
            }
        }
    }

    @Test func `what lies below the floor is for the log to say`() {
        var tail = tail(messageLimit: 2)
        tail.receive(
            CommittedBatch(
                previous: Offset(0),
                head: Offset(5),
                messages: (1...5).map { message($0, "a") },
                trims: []
            )
        )
        #expect(tail.floor == Offset(3))
        #expect(read(tail, ["a"], after: 2) == nil)
        #expect(read(tail, ["a"], after: 3)?.messages.map(\.offset.value) == [4, 5])
        #expect(read(tail, ["a"], after: 6) == nil)
    }

    @Test func `a channel that others forgot took its mark with it, and its messages stayed here`()
        throws
    {
        var tail = tail(head: 4, (1...4).map { message($0, $0 == 4 ? "b" : "a") })
        let news = tail.receive(
            CommittedBatch(
                previous: Offset(4),
                head: Offset(5),
                messages: [message(5, "b")],
                trims: [],
                forgottenThrough: Offset(3)
            )
        )
        #expect(news?.messages.map(\.offset.value) == [5])
        #expect(tail.floor == Offset(3))
        #expect(read(tail, ["a"], after: 2) == nil)
        #expect(tail.newest(of: [try ChannelName("a")]) == nil)
        #expect(read(tail, ["a", "b"], after: 3)?.messages.map(\.offset.value) == [4, 5])
        // With nothing else new, and never beyond what is known.
        let mark = CommittedBatch(
            previous: Offset(5),
            head: Offset(5),
            messages: [],
            trims: [],
            forgottenThrough: Offset(9)
        )
        #expect(tail.receive(mark) == nil)
        #expect(tail.floor == Offset(5))
        #expect(read(tail, ["b"], after: 5)?.messages.isEmpty == true)
    }

    @Test func `memory is bounded in bytes too`() {
        var tail = tail(byteLimit: 25)
        tail.receive(
            CommittedBatch(
                previous: Offset(0),
                head: Offset(4),
                messages: (1...4).map { message($0, "c\($0)", bytes: 10) },
                trims: []
            )
        )
        #expect(tail.floor == Offset(2))
    }

    @Test func `the newest place of channels is known only where they are`() {
        let tail = tail(
            head: 9,
            floor: 2,
            [message(3, "a"), message(7, "b")],
            trims: [mark("c", 5)]
        )
        #expect(tail.newest(of: [try! ChannelName("a")]) == Offset(3))
        #expect(tail.newest(of: [try! ChannelName("a"), try! ChannelName("c")]) == Offset(5))
        #expect(tail.newest(of: [try! ChannelName("d")]) == nil)
    }

    /// What a subscriber reads over many polls is what was published, minus what a gap reported.
    @Test(arguments: 0..<50)
    func `many polls read everything once or tell of a gap`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var tail = tail(messageLimit: Int.random(in: 1...30, using: &random))
        var published: [Message] = []
        var marks: [String: Int64] = [:]
        var cursor: Int64 = 0
        var seen: [Int64] = []
        var lostAllowed: Set<Int64> = []
        for _ in 0..<200 {
            let head = tail.head.value
            if Bool.random(using: &random) {
                let count = Int64.random(in: 1...5, using: &random)
                let new = (1...count).map {
                    message(head + $0, Bool.random(using: &random) ? "a" : "b")
                }
                published += new
                var trims: [TrimMark] = []
                if Int.random(in: 0..<5, using: &random) == 0 {
                    let through = Int64.random(in: 0...head, using: &random)
                    if through > marks["a", default: 0] {
                        marks["a"] = through
                        trims = [mark("a", through)]
                    }
                }
                tail.receive(
                    CommittedBatch(
                        previous: Offset(head),
                        head: Offset(head + count),
                        messages: new,
                        trims: trims
                    )
                )
            } else {
                let limit = Int.random(in: 1...4, using: &random)
                guard let reading = read(tail, ["a"], after: cursor, limit: limit) else {
                    #expect(cursor < tail.floor.value)
                    let floor = tail.floor.value
                    lostAllowed.formUnion(cursor + 1...floor)
                    cursor = floor
                    continue
                }
                if reading.gap != nil, marks["a", default: 0] > cursor {
                    lostAllowed.formUnion(cursor + 1...marks["a", default: 0])
                }
                seen += reading.messages.map(\.offset.value)
                #expect(reading.scanned.value >= cursor)
                cursor = reading.scanned.value
            }
        }
        let wanted = published.filter { $0.channel.text == "a" && $0.offset.value <= cursor }
        #expect(seen == seen.sorted() && Set(seen).count == seen.count)
        for message in wanted where !seen.contains(message.offset.value) {
            #expect(lostAllowed.contains(message.offset.value))
        }
    }
}
