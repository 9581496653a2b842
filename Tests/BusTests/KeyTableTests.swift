import Channels
import Foundation
import Testing

@testable import Bus

@Suite struct KeyTableTests {
    private func key(_ number: Int, of publisher: String = "p") -> IdempotencyKey {
        IdempotencyKey(publisher: publisher, key: "key \(number)")
    }

    /// The first vectors of the reference implementation.
    @Test(arguments: [
        (0, "a3817f04ba25a8e66df67214c7550293"), (1, "da87c1d86b99af44347659119b22fc45"),
        (7, "a1f1ebbed8dbc153c0b84aa61ff08239"), (8, "3b62a9ba6258f5610f83e264f31497b4"),
        (15, "5493e99933b0a8117e08ec0f97cfc3d9"), (63, "5150d1772f50834a503e069a973fbd7c"),
    ])
    func `the hash is SipHash`(length: Int, hash: String) {
        let hashed = KeyedHash(secret: Array(0..<16))((0..<length).map { UInt8($0) })
        let text = KeyedHash.bytes(of: hashed).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        #expect(text.joined() == hash)
    }

    @Test func `keys of one publisher took the room of everybody's messages`() throws {
        let directory = TemporaryDirectory()
        var small = settings(directory)
        small.maxBytes = 1 << 20
        let probe = LogProbe(small)
        for number in 1...200 { probe.send([draft("quiet", "\(number)")]) }
        let own = key(1, of: "another")
        _ = probe.append(draft("own", "x"), key: own)
        for number in 1...3000 {
            probe.send([draft("open", "x", topic: "t")], key: key(number))
        }
        let last = probe.append(draft("open", "x", topic: "t"), key: key(3000))
        #expect(probe.read(["quiet"], .first).messages.count == 200)
        #expect(probe.read(["quiet"], .after(.start)).gap == nil)
        // The newest are known; of the others, half of all.
        guard case .repeated = last, case .repeated = probe.append(draft("own", "x"), key: own)
        else {
            Issue.record("a key was forgotten too early")
            return
        }
        probe.stop()
        #expect(try rowCount("keys", directory.path + "/bus") == 129)
        #expect(try countsAgree(directory.path + "/bus"))
    }

    @Test func `many publishers have no more keys than there is room for`() throws {
        let directory = TemporaryDirectory()
        var small = settings(directory)
        small.maxBytes = 1 << 20
        let probe = LogProbe(small)
        for publisher in 1...400 {
            probe.send([draft("open", "x", topic: "t")], key: key(1, of: "p\(publisher)"))
        }
        _ = probe.append(draft("open", "y"))
        probe.stop()
        #expect(try rowCount("keys", directory.path + "/bus") == 256)
    }

    @Test func `a full log gives up keys before any message`() throws {
        let directory = TemporaryDirectory()
        var small = settings(directory)
        small.maxBytes = 1 << 20
        let probe = LogProbe(small)
        for number in 1...200 { probe.send([draft("a", "\(number)")], key: key(number)) }
        _ = probe.append(draft("a", "last"))
        let body = String(repeating: "x", count: 2000)
        var appended = 201
        while try rowCount("keys", directory.path + "/bus") > 0, appended < 2000 {
            _ = probe.append(draft("a", body))
            appended += 1
        }
        #expect(probe.log.statistics.messagesTrimmed == 0)
        #expect(probe.read(["a"], .first, limit: 5000, bytes: 1 << 24).messages.count == appended)
        probe.stop()
    }

    @Test func `keys take the same room however long their names are`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        let long = IdempotencyKey(
            publisher: String(repeating: "p", count: 5000),
            key: String(repeating: "k", count: 5000)
        )
        _ = probe.append(draft("a", "x"), key: long)
        guard case .repeated = probe.append(draft("a", "x"), key: long) else {
            Issue.record("it was not recognised")
            return
        }
        probe.stop()
        #expect(
            try integer("SELECT length(id) + length(digest) FROM keys", directory.path + "/bus")
                == 32
        )
    }

    @Test func `the repeat of a DELETE that found nothing deleted what came later`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        let delete = { probe.outcome(of: probe.send([], dropping: ["a", "b"], key: self.key(1))) }
        #expect(delete() == .committed(ids: []))
        _ = probe.append(draft("a", "x"))
        #expect(delete() == .repeated(ids: []))
        #expect(probe.read(["a"], .first).messages.map(\.text) == ["x"])
        // Without a key it is another request each time.
        #expect(probe.outcome(of: probe.send([], dropping: ["a"])) == .committed(ids: []))
        #expect(probe.read(["a"], .first).messages.isEmpty)
        #expect(delete() == .repeated(ids: []))
        probe.stop()
        #expect(try rowCount("keys", directory.path + "/bus") == 1)
        #expect(try countsAgree(directory.path + "/bus"))
    }

    @Test func `deleting 64 channels that are not there cost as much as one message`() throws {
        let directory = TemporaryDirectory()
        let clock = GivenClock()
        let probe = LogProbe(settings(directory), clocks: clock.clocks())
        func delete(_ number: Int, of publisher: String = "p") -> AppendOutcome {
            probe.outcome(
                of: probe.send(
                    [],
                    dropping: (1...64).map { "missing/\(number)/\($0)" },
                    key: key(number),
                    quota: PublisherQuota(publisher: publisher, limits: .of(messages: 128))
                )
            )
        }
        #expect(delete(1) == .committed(ids: []))
        #expect(delete(2) == .committed(ids: []))
        #expect(delete(3) == .overQuota(retrySeconds: 31))
        // Its repeats cost nothing, and of a refused one nothing is known.
        #expect(delete(2) == .repeated(ids: []))
        clock.advance(seconds: 31)
        #expect(delete(3) == .committed(ids: []))
        probe.stop()
        #expect(try rowCount("keys", directory.path + "/bus") == 3)
        #expect(try rowCount("channels", directory.path + "/bus") == 0)
    }

    @Test func `a key of each DELETE that finds nothing took no more than its publisher's room`()
        throws
    {
        let directory = TemporaryDirectory()
        var small = settings(directory)
        small.maxBytes = 1 << 20
        let probe = LogProbe(small)
        for number in 1...200 { probe.send([draft("quiet", "\(number)")]) }
        for number in 1...1000 { probe.send([], dropping: ["missing"], key: key(number)) }
        #expect(
            probe.outcome(of: probe.send([], dropping: ["missing"], key: key(1000)))
                == .repeated(ids: [])
        )
        #expect(probe.read(["quiet"], .first).messages.count == 200)
        #expect(probe.log.statistics.messagesTrimmed == 0)
        probe.stop()
        #expect(try rowCount("keys", directory.path + "/bus") == 128)
    }
}
