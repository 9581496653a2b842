import Testing

@testable import FastCGI

@Suite struct RecordTests {
    @Test(arguments: [0, 1, 7, 8, 127, 128, 255, 256, 65_535])
    func `a header is read as it was written`(contentLength: Int) {
        for padding in [0, 7, 255] {
            let header = RecordHeader(
                type: 5,
                id: 0xa1b2,
                contentLength: contentLength,
                paddingLength: padding
            )
            #expect(RecordHeader(header.bytes) == header)
            #expect(header.bytes.withUnsafeBytes { RecordHeader($0, at: 0) } == header)
            #expect(header.recordLength == 8 + contentLength + padding)
        }
    }

    @Test func `an id of a request is never zero`() {
        #expect(RequestID(0) == nil)
        #expect(RequestID(65_535)?.value == 65_535)
    }

    @Test func `END_REQUEST carries both statuses`() {
        let bytes = Record.endRequest(
            id: id(0x1234),
            appStatus: 0x0102_0304,
            protocolStatus: .overloaded
        )
        #expect(bytes == [1, 3, 0x12, 0x34, 0, 8, 0, 0, 1, 2, 3, 4, 2, 0, 0, 0])
    }

    @Test(arguments: [0, 1, 65_527, 65_528, 65_529, 65_535, 65_536, 200_000])
    func `a stream is cut into padded records and loses nothing`(length: Int) {
        let content = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
        let streams = Streams(Record.stream(Record.stdout, id: 9, content))
        #expect(streams.stdout == content)
        #expect(streams.recordLengths.allSatisfy { $0 % 8 == 0 && $0 > 8 })
    }
}

@Suite struct NameValuePairTests {
    @Test(arguments: [0, 1, 127, 128, 129, 255, 256, 65_535, 65_536])
    func `pairs are read as they were written`(length: Int) throws {
        let long = [UInt8](repeating: 0x61, count: length)
        var bytes: [UInt8] = []
        NameValuePairs.append(long, [1], to: &bytes)
        NameValuePairs.append([2], long, to: &bytes)
        let pairs = try #require(NameValuePairs.decode(bytes))
        #expect(pairs.map(\.name) == [long, [2]])
        #expect(pairs.map(\.value) == [[1], long])
        #expect(bytes.count == 2 * (2 + (length < 128 ? 0 : 3) + length + 1))
    }

    @Test func `a short length may be written in four bytes`() throws {
        let pairs = try #require(NameValuePairs.decode([0x80, 0, 0, 1, 0x80, 0, 0, 2, 65, 66, 67]))
        #expect(pairs.first?.name == [65])
        #expect(pairs.first?.value == [66, 67])
    }

    static let contradictory: [[UInt8]] = [
        [1], [1, 1], [1, 1, 65], [2, 0, 65], [0x80], [0x80, 0, 0], [0, 0x80, 0, 0],
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 65],
        [0xff, 0xff, 0xff, 0xfe, 0, 65], [0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff],
        [0xc0, 0, 0, 0, 0, 65], [1, 0xff, 0xff, 0xff, 0xff, 65],
    ]

    @Test(arguments: contradictory)
    func `pairs whose lengths do not add up are no pairs`(bytes: [UInt8]) {
        #expect(NameValuePairs.decode(bytes) == nil)
    }

    @Test(arguments: contradictory)
    func `the running check and the decoder agree wherever pieces are cut`(bytes: [UInt8]) {
        let good = encodedPairs([
            "A": "", "": "B", "": "", "LONG": String(repeating: "x", count: 130),
        ])
        for stream in [bytes, good, good + bytes, bytes + good, good + good] {
            for cut in 0...stream.count {
                var check = PairCheck()
                for piece in [stream[..<cut], stream[cut...]] {
                    Array(piece).withUnsafeBytes { check.take($0) }
                }
                #expect(check.isWhole == (NameValuePairs.decode(stream) != nil))
            }
        }
    }
}
