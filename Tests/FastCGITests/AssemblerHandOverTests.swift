import Testing
import Text

@testable import FastCGI

/// What has come of requests goes on in another process.
@Suite struct AssemblerHandOverTests {
    /// The events of bytes that two assemblers get, one after the other.
    private func events(
        _ bytes: [UInt8],
        handedOverAt cut: Int,
        limits: FramingLimits = FramingLimits()
    ) throws -> [Seen] {
        var seen: [Seen] = []
        var first = RequestAssembler(limits: limits)
        Array(bytes[..<cut]).withUnsafeBytes { first.receive($0) { seen.append(Seen($0)) } }
        var pack = Packer()
        first.pack(into: &pack)
        var unpack = Unpacker(pack.bytes)
        var second = try RequestAssembler(limits: limits, from: &unpack)
        #expect(unpack.isAtEnd)
        #expect(second.oldestUnfinished == first.oldestUnfinished)
        #expect(second.isPassingOver == first.isPassingOver)
        Array(bytes[cut...]).withUnsafeBytes { second.receive($0) { seen.append(Seen($0)) } }
        #expect(second.isIdle)
        return seen
    }

    @Test(arguments: RecordedRequest.all)
    func `a request of every web server comes out whole wherever it is handed over`(
        recorded: RecordedRequest
    ) throws {
        for cut in recorded.bytes.indices {
            #expect(try events(recorded.bytes, handedOverAt: cut) == [recorded.seen])
        }
    }

    @Test func `so do requests that alternate, and what is between them`() throws {
        let pairs = encodedPairs(["NAME": "value"])
        func begin(_ id: UInt16) -> [UInt8] {
            Record.beginRequest(id: RequestID(id)!, keepConnection: id == 1)
        }
        let pieces: [[UInt8]] = [
            begin(1), begin(2), Record.record(Record.params, id: 2, pairs, padding: 5),
            Record.record(Record.params, id: 1, pairs, padding: 0),
            Record.record(Record.getValues, id: 0, [], padding: 3),
            Record.record(Record.params, id: 1, []), Record.record(Record.params, id: 2, []),
            Record.record(Record.stdin, id: 2, [1, 2, 3], padding: 1),
            Record.record(Record.stdin, id: 1, [4], padding: 7),
            Record.record(Record.stdin, id: 2, []),
            Record.record(Record.data, id: 7, [9, 9], padding: 2),
            Record.record(Record.stdin, id: 1, []),
        ]
        let bytes = pieces.flatMap { $0 }
        let whole = try events(bytes, handedOverAt: 0)
        #expect(whole.count == 4)
        for cut in bytes.indices { #expect(try events(bytes, handedOverAt: cut) == whole) }
    }

    @Test func `a request that is too large stays so`() throws {
        var limits = FramingLimits()
        limits.paramsBytes = 10
        let bytes = Record.request(id: .first, variables: variables(["NAME": "a longer value"]))
        let whole = try events(bytes, handedOverAt: 0, limits: limits)
        for cut in bytes.indices {
            #expect(try events(bytes, handedOverAt: cut, limits: limits) == whole)
        }
    }

    @Test(arguments: 0..<100)
    func `damaged bytes are an error, or something else, but no trap`(seed: Int) {
        let bytes = RecordedRequest.all[1].bytes
        var assembler = RequestAssembler(limits: FramingLimits())
        let cut = bytes.count * (seed % 9 + 1) / 10
        Array(bytes[..<cut]).withUnsafeBytes { assembler.receive($0) { _ in } }
        var pack = Packer()
        assembler.pack(into: &pack)
        var damaged = pack.bytes
        damaged[seed * 31 % damaged.count] = UInt8(truncatingIfNeeded: seed * 7)
        var unpack = Unpacker(damaged)
        guard var next = try? RequestAssembler(limits: FramingLimits(), from: &unpack) else {
            return
        }
        Array(bytes[cut...]).withUnsafeBytes { next.receive($0) { _ in } }
    }

    @Test func `a request can be given up in the middle of its variables`() {
        let bytes = RecordedRequest.all[1].bytes
        for cut in 17..<60 {
            var assembler = RequestAssembler(limits: FramingLimits())
            Array(bytes[..<cut]).withUnsafeBytes { assembler.receive($0) { _ in } }
            #expect(assembler.giveUp().count == 1)
            var requests = 0
            Array(bytes[cut...]).withUnsafeBytes {
                assembler.receive($0) { if case .request = $0 { requests += 1 } }
            }
            #expect(requests == 0 && assembler.isIdle)
        }
    }
}
