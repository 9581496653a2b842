import Core
import FastCGI
import FastCGICodec
import Testing

@testable import Responder

@Suite struct `Payloads in records` {
    private let first = RequestID.first

    private func output(_ bytes: [UInt8]) -> [UInt8] {
        var stream = RecordStream()
        bytes.withUnsafeBytes { stream.receive($0) }
        var all: [UInt8] = []
        while let piece = stream.next() { if case .output(let part) = piece { all += part } }
        return all
    }

    @Test func `header and body of a short answer go in one piece, and of a long one in two`()
        throws
    {
        var encoder = PayloadEncoder(try Codec())
        let header = Array("Status: 200 OK\r\n\r\n".utf8)
        encoder.begin(count: 2)
        let short = Payload(.answer, header: header, body: Array("x".utf8), bodyIndex: 0)
        let one = encoder.records(of: short, at: 0)
        #expect(one.rest == nil && output(one.first.bytes) == header + Array("x".utf8))
        let body = [UInt8](repeating: 9, count: 40_000)
        let two = encoder.records(
            of: Payload(.answer, header: header, body: body, bodyIndex: 1),
            at: 1
        )
        #expect(output(two.first.bytes) == header)
        #expect(try output(#require(two.rest).bytes) == body)
    }

    @Test func `answers with one body share its records`() throws {
        var encoder = PayloadEncoder(try Codec())
        let body = [UInt8](repeating: 9, count: 40_000)
        encoder.begin(count: 2)
        let a = encoder.records(of: Payload(.answer, header: [65], body: body, bodyIndex: 0), at: 0)
        let b = encoder.records(of: Payload(.answer, header: [66], body: body, bodyIndex: 0), at: 1)
        #expect(a.first != b.first)
        let addresses = try [a, b].map { encoded in
            try #require(encoded.rest).bytes.withUnsafeBytes { $0.baseAddress }
        }
        #expect(addresses[0] == addresses[1])
    }

    @Test func `lines go as they are, and an end is an end`() throws {
        var encoder = PayloadEncoder(try Codec())
        encoder.begin(count: 2)
        let line = encoder.records(of: Payload(.plain, body: [1, 2], bodyIndex: 0), at: 0)
        #expect(line.first.bytes(for: first) == [1, 2] && line.rest == nil)
        let end = encoder.records(of: Payload(.end, bodyIndex: 1), at: 1)
        let expected = Record.endRequest(id: RequestID(5)!, protocolStatus: .requestComplete)
        #expect(end.first.bytes(for: RequestID(5)!) == expected)
        // Nothing is left of the drain before.
        encoder.begin(count: 1)
        let next = encoder.records(of: Payload(.plain, body: [3], bodyIndex: 0), at: 0)
        #expect(next.first.bytes == [3])
    }
}
