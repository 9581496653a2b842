import FastCGICodec
import Glibc
import Testing
import Text

@testable import FastCGI

@Suite struct EncodingTests {
    private static let lengths =
        [0, 1, 7, 8, 9, 100, 16_300, 16_368, 16_369, 200_000] + Array(8_170...8_200)
        + Array(stride(from: 65_000, through: 66_000, by: 37)) + [65_535, 65_536]

    @Test func `a document of any length is a whole answer`() throws {
        let codec = try Codec()
        for length in EncodingTests.lengths {
            let document = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let answer = codec.encode(document)
            let streams = Streams(answer.bytes)
            #expect(streams.stdout == document)
            #expect(streams.ids == [1])
            #expect(streams.types.suffix(2) == [Record.stdout, Record.endRequest])
            #expect(streams.types.dropLast().allSatisfy { $0 == Record.stdout })
            #expect(streams.recordLengths.allSatisfy { $0 % 8 == 0 })
            #expect(streams.recordLengths.count(where: { $0 == 8 }) == 1, "one end of STDOUT")
            #expect(
                answer.bytes.suffix(16)
                    == Record.endRequest(id: .first, protocolStatus: .requestComplete)[...]
            )
        }
        #expect(codec.refusals == 0)
    }

    @Test func `part of an answer has neither end`() throws {
        let codec = try Codec()
        for length in EncodingTests.lengths {
            let part = [UInt8](repeating: 0x20, count: length)
            let streams = Streams(codec.encodePart(part).bytes)
            #expect(streams.stdout == part)
            #expect(streams.types.allSatisfy { $0 == Record.stdout })
            #expect(streams.recordLengths.allSatisfy { $0 % 8 == 0 && $0 > 8 })
        }
        #expect(codec.encodePart([]).bytes.isEmpty)
    }

    @Test(arguments: [2, 255, 256, 0x1234, 65_535] as [UInt16])
    func `another id is in every record`(value: UInt16) throws {
        let codec = try Codec()
        for length in [0, 5, 8_184, 8_185, 70_000] {
            let document = [UInt8](repeating: 1, count: length)
            let answer = codec.encode(document)
            let patched = answer.bytes(for: id(value))
            let streams = Streams(patched)
            #expect(streams.ids == [value])
            #expect(streams.stdout == document)
            #expect(streams.types == Streams(answer.bytes).types)
            #expect(EncodedAnswer(bytes: patched).bytes(for: id(0x0101)).count == patched.count)
        }
    }

    @Test func `id 1 gets the very same bytes`() throws {
        let answer = try Codec().encode([1, 2, 3])
        let same = answer.bytes(for: .first)
        #expect(
            same.withUnsafeBytes(\.baseAddress) == answer.bytes.withUnsafeBytes(\.baseAddress)
        )
    }

    @Test func `encoding and decoding take turns`() throws {
        let codec = try Codec()
        let recorded = RecordedRequest.all[3]
        let expected = try CodecTests.Decoded(pairs: recorded.pairs, body: recorded.body)
        for _ in 0..<20 {
            #expect(Streams(codec.encode(recorded.body).bytes).stdout == recorded.body)
            #expect(CodecTests.decode(recorded.bytes, by: codec) == [expected])
            #expect(Streams(codec.encodePart([9]).bytes).stdout == [9])
        }
    }

    @Test func `the codec's own records and libfcgi's say the same`() throws {
        let document = [UInt8]("Status: 200 OK\r\nContent-Length: 2\r\n\r\nok")
        #expect(try Codec().encode(document).bytes == Record.answer(id: .first, document))
    }
}
