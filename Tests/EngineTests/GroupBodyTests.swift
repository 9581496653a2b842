import Channels
import Testing

@testable import Engine

@Suite struct GroupBodyTests {
    private func draft(_ channel: String) throws -> Draft {
        Draft(
            channel: try ChannelName(channel),
            kind: .bytes,
            contentType: "image/png",
            body: [0, 255, 10],
            type: "größer",
            timeToLiveSeconds: 7,
            topic: "t"
        )
    }

    @Test func `what is written is read`() throws {
        var plain = try draft("a/b")
        (plain.type, plain.timeToLiveSeconds, plain.topic, plain.body) = (nil, nil, nil, [])
        var bytes: [UInt8] = []
        GroupBody.append(try draft("news"), to: &bytes)
        GroupBody.append(dropping: try ChannelName("old"), to: &bytes)
        GroupBody.append(plain, to: &bytes)
        let records = GroupBody.records(in: bytes, count: 3)
        #expect(
            records == [
                .message(try draft("news")), .drop(try ChannelName("old")), .message(plain),
            ]
        )
    }

    @Test func `bytes that end early leave empty offsets, cut anywhere`() throws {
        var bytes: [UInt8] = []
        GroupBody.append(try draft("one"), to: &bytes)
        let first = bytes.count
        GroupBody.append(try draft("two"), to: &bytes)
        for end in 0..<bytes.count {
            let records = GroupBody.records(in: Array(bytes[..<end]), count: 2)
            #expect(records.count == 2)
            #expect(records[1] == .unknown)
            #expect((records[0] == .unknown) == (end < first))
        }
    }

    @Test func `a record with a bad channel leaves those behind it readable`() throws {
        var bytes: [UInt8] = []
        GroupBody.append(try draft("bad"), to: &bytes)
        let at = try #require(bytes.firstIndex(of: UInt8(ascii: "b")))
        bytes[at] = UInt8(ascii: " ")
        GroupBody.append(try draft("good"), to: &bytes)
        let records = GroupBody.records(in: bytes, count: 2)
        #expect(records == [.unknown, .message(try draft("good"))])
    }

    @Test func `hosts of a connection string are tried one by one`() throws {
        let target = try ConnectionTarget("host=/a,/b port=1,2 dbname=x")
        #expect(target.hosts == 2)
        func value(_ keyword: String, _ host: Int) -> String? {
            target.options(ofHost: host).first { $0.keyword == keyword }?.value
        }
        #expect(value("host", 0) == "/a")
        #expect(value("host", 1) == "/b")
        #expect(value("port", 1) == "2")
        #expect(value("dbname", 1) == "x")
        #expect(value("target_session_attrs", 1) == "read-write")
        #expect(throws: PostgresError.self) { try ConnectionTarget("host = 'x") }
    }

    @Test func `the name of a schema needs no quotes`() {
        #expect(EngineSchema.isName("holdfast_2"))
        for name in ["", "Holdfast", "2x", "a-b", "a\"", "ä", String(repeating: "a", count: 49)] {
            #expect(!EngineSchema.isName(name))
        }
    }
}
