import FastCGICodec
import Glibc
import SeededRandom
import Testing

@testable import FastCGI

/// Mutated requests of every web server, cut at random: whatever passes the assembler is decoded by libfcgi to
/// exactly what an independent reading of its records gives, and how the input was cut changes nothing.
///
/// HOLDFAST_FUZZ_ROUNDS sets the number of inputs, HOLDFAST_FUZZ_SEED repeats a run.
@Suite struct FramingFuzzTests {
    /// Some seconds' worth.
    #if DEBUG
        private static let defaultRounds = 40_000
    #else
        private static let defaultRounds = 200_000
    #endif

    private static func setting(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    private static func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var text = [CChar](repeating: 0, count: 256)
        guard fgets(&text, 256, file) != nil else { return 0 }
        let fields = text.prefix { $0 != 0 }.split(separator: 0x20)
        let pages = fields.dropFirst().first.map { $0.reduce(0) { $0 * 10 + Int($1) - 48 } } ?? 0
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }

    @Test func `whatever passes the assembler is decoded as it was sent`() throws {
        let seed = Self.setting("HOLDFAST_FUZZ_SEED") ?? UInt64.random(in: 0 ... .max)
        let rounds =
            Self.setting("HOLDFAST_FUZZ_ROUNDS").map(Int.init(clamping:))
            ?? Self.defaultRounds
        var generator = SplitMix64(seed: seed)
        let codec = try Codec()
        let limits = FramingLimits(paramsBytes: 1_500, bodyBytes: 60, openRequests: 3)
        let dictionary = Self.dictionary
        var passed = 0
        var violations = 0
        var resident = 0
        for round in 0..<rounds {
            if round == rounds / 4 { resident = Self.residentBytes() }
            let input = Self.input(by: &generator, dictionary)
            let cuts = Self.cuts(of: input.count, by: &generator)
            var whole = Digest()
            var pieces = Digest()
            Self.feed(input, cutAt: [], limits) { event in
                if case .request(let request) = event {
                    passed += 1
                    Self.expectSame(request, codec, seed: seed, round: round)
                }
                if case .violation = event { violations += 1 }
                whole.add(event)
            }
            Self.feed(input, cutAt: cuts, limits) { event in
                if case .request(let request) = event, round & 7 == 0 {
                    Self.expectSame(request, codec, seed: seed, round: round)
                }
                pieces.add(event)
            }
            guard whole == pieces else {
                Issue.record("cut at \(cuts), other events: seed \(seed), round \(round), \(input)")
                break
            }
        }
        print(
            "framing fuzz: seed \(seed), \(rounds) inputs, \(passed) requests, \(violations) violations"
        )
        #expect(codec.refusals == 0, "seed \(seed)")
        #expect(
            rounds < 1_000 || (passed > rounds / 10 && violations > rounds / 10),
            "seed \(seed)"
        )
        // Only where this runs by itself: other tests in the process have memory of their own.
        if Self.setting("HOLDFAST_FUZZ_ROUNDS") != nil, rounds >= 100_000 {
            let growth = Self.residentBytes() - resident
            #expect(growth < 32 << 20, "memory grew by \(growth) bytes; seed \(seed)")
        }
    }

    // MARK: Inputs

    /// Whole records to put in anywhere.
    private static let dictionary: [[UInt8]] = [
        Record.beginRequest(id: .first, keepConnection: true),
        Record.beginRequest(id: .first, role: 3, keepConnection: true),
        Record.record(Record.params, id: 1, []), Record.record(Record.stdin, id: 1, []),
        Record.record(Record.stdin, id: 1, [1, 2, 3]), Record.record(Record.data, id: 1, [1]),
        Record.record(Record.params, id: 1, [0xff, 0xff, 0xff, 0xfe, 0, 65]),
        Record.record(Record.params, id: 1, encodedPairs(["X": "y", "LONG": "value"])),
        Record.record(Record.params, id: 1, [], padding: 16),
        Record.record(Record.beginRequest, id: 1, [0, 1, 1, 0, 0, 0, 0, 0], padding: 8),
        Record.abortRequest(id: .first), Record.record(200, id: 0, [3, 1, 65, 66, 67, 68]),
        Record.record(
            Record.getValues,
            id: 0,
            encodedPairs(["FCGI_MAX_CONNS": "", "FCGI_MAX_REQS": ""])
        ),
        Record.request(id: RequestID(3)!, keepConnection: true, variables: []),
    ]

    private static func input(by generator: inout SplitMix64, _ dictionary: [[UInt8]]) -> [UInt8] {
        var input = RecordedRequest.all[generator.below(RecordedRequest.all.count)].bytes
        if generator.below(4) == 0 {
            input += RecordedRequest.all[generator.below(RecordedRequest.all.count)].bytes
        }
        // None of them in one of five: most single changes hit a value, and still make a good request.
        for _ in 0..<generator.below(5) {
            let at = generator.below(input.count)
            switch generator.below(8) {
            case 0, 1: input[at] = UInt8(truncatingIfNeeded: generator.next())
            case 2: input[at] ^= 1 << UInt8(generator.below(8))
            case 3 where generator.below(4) == 0: pad(&input, at, by: &generator)
            case 3: input[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][generator.below(6)]
            case 4: input.remove(at: at)
            case 5: input.insert(UInt8(truncatingIfNeeded: generator.next()), at: at)
            case 6:
                let record = dictionary[generator.below(dictionary.count)]
                input.insert(contentsOf: record, at: boundary(in: input, before: at))
            default:
                // Headers are where it matters: hit one of the eight bytes of one.
                let start = boundary(in: input, before: at)
                let target = min(start + generator.below(8), input.count - 1)
                input[target] = UInt8(generator.below(12))
            }
        }
        return input
    }

    /// Gives the record that holds this byte more padding.
    private static func pad(_ input: inout [UInt8], _ offset: Int, by generator: inout SplitMix64) {
        let start = boundary(in: input, before: offset)
        guard start + 8 <= input.count, input[start + 6] < 128 else { return }
        let end = start + RecordHeader(input[start...]).recordLength
        guard end <= input.count else { return }
        let count = 1 + generator.below(64)
        input[start + 6] += UInt8(count)
        input.insert(contentsOf: input.prefix(count), at: end)
    }

    /// Where the record begins that holds this byte, as far as headers can be followed.
    private static func boundary(in input: [UInt8], before offset: Int) -> Int {
        var at = 0
        while at + 8 <= input.count {
            let content = Int(input[at + 4]) << 8 | Int(input[at + 5])
            let next = at + 8 + content + Int(input[at + 6])
            if next > offset { break }
            at = next
        }
        return min(at, input.count)
    }

    private static func cuts(of count: Int, by generator: inout SplitMix64) -> [Int] {
        if generator.below(16) == 0 { return Array(1..<max(count, 2)) }
        return (0..<(1 + generator.below(4))).map { _ in generator.below(count + 1) }.sorted()
    }

    private static func feed(
        _ input: [UInt8],
        cutAt cuts: [Int],
        _ limits: FramingLimits,
        each body: (FramingEvent) -> Void
    ) {
        var assembler = RequestAssembler(limits: limits)
        input.withUnsafeBytes { bytes in
            var start = 0
            for cut in cuts where cut <= bytes.count {
                assembler.receive(UnsafeRawBufferPointer(rebasing: bytes[start..<cut]), each: body)
                start = cut
            }
            assembler.receive(UnsafeRawBufferPointer(rebasing: bytes[start...]), each: body)
        }
    }

    // MARK: Checks

    /// What the events say, without the way records are cut or padded.
    private struct Digest: Equatable {
        private var hasher = Hasher()

        static func == (one: Digest, other: Digest) -> Bool {
            one.hasher.finalize() == other.hasher.finalize()
        }

        mutating func add(_ event: FramingEvent) {
            switch event {
            case .request(let request):
                hasher.combine(request.id)
                hasher.combine(request.keepConnection)
                hasher.combine(request.bodyDropped)
                for type in [Record.params, Record.stdin] {
                    hasher.combine(type)
                    FramingFuzzTests.forEachPiece(of: type, in: request.records) {
                        hasher.combine(bytes: $0)
                    }
                }
            case .abort(let id):
                hasher.combine(2)
                hasher.combine(id)
            case .reply(let bytes):
                hasher.combine(3)
                hasher.combine(bytes)
            case .askedValues:
                hasher.combine(4)
            case .refuse(let id, let keep, let bytes):
                hasher.combine(keep ? 5 : 6)
                hasher.combine(id)
                hasher.combine(bytes)
            case .oversizedParams(let id, let keep):
                hasher.combine(keep ? 7 : 8)
                hasher.combine(id)
            case .violation(let violation):
                hasher.combine(violation.description)
            }
        }
    }

    private static func forEachPiece(
        of type: UInt8,
        in records: UnsafeRawBufferPointer,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        var at = 0
        while at < records.count {
            let header = RecordHeader(records, at: at)
            let content = at + 8..<at + 8 + header.contentLength
            if header.type == type { body(UnsafeRawBufferPointer(rebasing: records[content])) }
            at += header.recordLength
        }
    }

    /// `NAME=value` for every pair, a zero after each, then the body.
    private struct Reading: Equatable {
        var bytes: [UInt8] = []

        mutating func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
            bytes.append(contentsOf: name)
            bytes.append(0x3d)
            bytes.append(contentsOf: value)
            bytes.append(0)
        }
    }

    private static func expectSame(
        _ request: FramedRequest,
        _ codec: Codec,
        seed: UInt64,
        round: Int
    ) {
        var params: [UInt8] = []
        forEachPiece(of: Record.params, in: request.records) { params.append(contentsOf: $0) }
        var sent = Reading()
        let whole = params.withUnsafeBytes { bytes in
            NameValuePairs.forEach(in: bytes) { sent.add($0, $1) }
        }
        if !whole { Issue.record("bad pairs passed: seed \(seed), round \(round)") }
        forEachPiece(of: Record.stdin, in: request.records) { sent.bytes.append(contentsOf: $0) }
        let found = codec.decode(request) { lent in
            var found = Reading()
            lent.forEachVariable { found.add($0, $1) }
            found.bytes += lent.readBody()
            return found
        }
        guard found != sent else { return }
        Issue.record(
            """
            decoded differently: seed \(seed), round \(round), \(Array(request.records)) as \
            \(found.map { String(decoding: $0.bytes, as: UTF8.self) } ?? "nothing")
            """
        )
    }
}

extension SplitMix64 {
    fileprivate mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(bound, 1))) }
}
