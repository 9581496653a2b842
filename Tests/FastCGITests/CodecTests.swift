import FastCGICodec
import Glibc
import Testing
import Text

@testable import FastCGI

@Suite struct CodecTests {
    /// What libfcgi makes of a request, copied out of the callback.
    struct Decoded: Equatable {
        var names: [[UInt8]] = []
        var values: [[UInt8]] = []
        var body: [UInt8] = []

        init() {}

        init(_ lent: borrowing DecodedRequest) {
            var (names, values) = ([[UInt8]](), [[UInt8]]())
            lent.forEachVariable { name, value in
                names.append(Array(name))
                values.append(Array(value))
            }
            (self.names, self.values, body) = (names, values, lent.readBody())
        }

        init(pairs: [UInt8], body: [UInt8]) throws {
            let decoded = try #require(NameValuePairs.decode(pairs))
            names = decoded.map(\.name)
            values = decoded.map(\.value)
            self.body = body
        }
    }

    static func decode(
        _ bytes: [UInt8],
        by codec: Codec,
        wanting isWanted: (UnsafeRawBufferPointer) -> Bool = { _ in true }
    ) -> [Decoded?] {
        var all: [Decoded?] = []
        bytes.withUnsafeBytes { bytes in
            var assembler = RequestAssembler(limits: FramingLimits())
            assembler.receive(bytes) { event in
                guard case .request(let request) = event else { return }
                all.append(decode(request, by: codec, wanting: isWanted))
            }
        }
        return all
    }

    static func decode(
        _ request: FramedRequest,
        by codec: Codec,
        wanting isWanted: (UnsafeRawBufferPointer) -> Bool = { _ in true }
    ) -> Decoded? {
        codec.decode(request, wanting: isWanted) { Decoded($0) }
    }

    @Test(arguments: RecordedRequest.all)
    func `a request of every web server is decoded as it was sent`(
        recorded: RecordedRequest
    ) throws {
        let codec = try Codec()
        let expected = try Decoded(pairs: recorded.pairs, body: recorded.body)
        #expect(CodecTests.decode(recorded.bytes, by: codec) == [expected])
        #expect(codec.refusals == 0)
    }

    @Test func `one codec decodes request after request, long before short`() throws {
        let codec = try Codec()
        let long = [UInt8](repeating: 0x78, count: 100_000)
        let many = Record.request(
            id: .first,
            variables: [(name: [UInt8]("LONG"), value: long)],
            body: long
        )
        for _ in 0..<3 {
            #expect(CodecTests.decode(many, by: codec).first??.body == long)
            for recorded in RecordedRequest.all {
                let expected = try Decoded(pairs: recorded.pairs, body: recorded.body)
                #expect(CodecTests.decode(recorded.bytes, by: codec) == [expected])
            }
        }
    }

    @Test(arguments: RecordedRequest.all)
    func `unused variables are left out, and nothing else`(
        recorded: RecordedRequest
    ) throws {
        let codec = try Codec()
        let all = try Decoded(pairs: recorded.pairs, body: recorded.body)
        // Where they are in several records, all come.
        let isPlain = RecordHeader(recorded.bytes[16...]).contentLength == recorded.pairs.count
        for remainder in 0..<3 {
            // By their lengths: in front, in the middle, at the end, and several in a row.
            func isWanted(_ length: Int) -> Bool { length % 3 != remainder }
            func stays(_ name: [UInt8]) -> Bool { !isPlain || isWanted(name.count) }
            var expected = all
            expected.names = all.names.filter(stays)
            expected.values = zip(all.names, all.values).filter { stays($0.0) }.map(\.1)
            let decoded = CodecTests.decode(recorded.bytes, by: codec) { isWanted($0.count) }
            let isRight = decoded == [expected]
            #expect(isRight, "\(remainder)")
        }
        // Where none is wanted, all may come.
        let none = CodecTests.decode(recorded.bytes, by: codec) { _ in false }
        #expect(none.count == 1 && none.first??.body == recorded.body)
        #expect(CodecTests.decode(recorded.bytes, by: codec) == [all])
        #expect(codec.refusals == 0)
    }

    @Test(arguments: RecordedRequest.all)
    func `a request is taken apart by the names of its variables`(recorded: RecordedRequest) throws
    {
        let codec = try Codec()
        let all = try Decoded(pairs: recorded.pairs, body: recorded.body)
        let isSimple =
            RecordHeader(recorded.bytes[16...]).contentLength == recorded.pairs.count
            && recorded.body.isEmpty
        recorded.bytes.withUnsafeBytes { bytes in
            var assembler = RequestAssembler(limits: FramingLimits())
            assembler.receive(bytes) { event in
                guard case .request(let request) = event else { return }
                let uses: [VariableUse] = [.common, .unused, .particular]
                let sorted = codec.sort(request) { uses[$0.count % 3] }
                #expect((sorted != nil) == isSimple)
                guard let sorted else { return }
                func expected(_ remainder: Int) -> Decoded {
                    var expected = Decoded()
                    for (name, value) in zip(all.names, all.values)
                    where name.count % 3 == remainder {
                        expected.names.append(name)
                        expected.values.append(value)
                    }
                    return expected
                }
                var particulars = Decoded()
                sorted.forEachParticular { name, value in
                    particulars.names.append(Array(name))
                    particulars.values.append(Array(value))
                }
                #expect(particulars == expected(2))
                let common = codec.decode(commonOf: sorted) { Decoded($0) }
                #expect(common == expected(0))
                let pairs = NameValuePairs.decode(Array(sorted.common))
                #expect(pairs?.map(\.name) == expected(0).names)
            }
        }
        #expect(codec.refusals == 0)
    }

    /// Of every second one, a part that depends on its length.
    @Test(arguments: RecordedRequest.all)
    func `a variable is divided into its part and the rest`(recorded: RecordedRequest) throws {
        let codec = try Codec()
        func part(_ name: Int, _ value: Int) -> Range<Int>? {
            name % 2 == 0 ? value / 3..<value - value / 4 : nil
        }
        recorded.bytes.withUnsafeBytes { bytes in
            var assembler = RequestAssembler(limits: FramingLimits())
            assembler.receive(bytes) { event in
                guard case .request(let request) = event,
                    let sorted = codec.sort(
                        request,
                        by: { $0.count % 2 == 0 ? .divided : .common }
                    )
                else { return }
                let divided = codec.divide(sorted) { part($0.count, $1.count) ?? 0..<0 }
                guard let all = try? Decoded(pairs: recorded.pairs, body: []) else { return }
                var (parts, rests) = (Decoded(), Decoded())
                for (name, value) in zip(all.names, all.values) {
                    var rest = value
                    if let part = part(name.count, value.count) {
                        // The first ones without a part are left out.
                        if !part.isEmpty || !parts.names.isEmpty {
                            parts.names.append(name)
                            parts.values.append(Array(value[part]))
                        }
                        rest.removeSubrange(part)
                    }
                    rests.names.append(name)
                    rests.values.append(rest)
                }
                var particulars = Decoded()
                #expect((divided == nil) == parts.names.isEmpty)
                divided?.forEachParticular { name, value in
                    particulars.names.append(Array(name))
                    particulars.values.append(Array(value))
                }
                #expect(particulars == parts)
                #expect(codec.decode(commonOf: divided ?? sorted) { Decoded($0) } == rests)
                // The rest is what it would be if it had been sent so.
                let common = (divided ?? sorted).common
                var rest: [Int] = []
                _ = NameValuePairs.forEach(in: common) { rest.append($0.count + $1.count) }
                #expect(rest == zip(rests.names, rests.values).map { $0.count + $1.count })
            }
        }
        #expect(codec.refusals == 0)
    }

    @Test func `long variables are left out, and long ones stay`() throws {
        let codec = try Codec()
        let long = [UInt8](repeating: 0x78, count: 300)
        for (wanted, other) in [("A", "LONG"), ("LONG", "A")] {
            let bytes = Record.request(
                id: .first,
                variables: [
                    (name: [UInt8](other.utf8), value: long),
                    (name: [UInt8](wanted.utf8), value: long + [1]),
                    (name: [UInt8](other.utf8), value: []),
                ],
                body: long
            )
            let decoded = CodecTests.decode(bytes, by: codec) { $0.count == wanted.utf8.count }
            #expect(decoded.first??.names == [[UInt8](wanted.utf8)])
            #expect(decoded.first??.values == [long + [1]])
            #expect(decoded.first??.body == long)
        }
    }

    @Test func `decoding does not depend on the caller reading the body`() throws {
        let codec = try Codec()
        let bytes = Record.request(
            id: .first,
            variables: variables(["A": "B"]),
            body: [UInt8](repeating: 1, count: 90_000)
        )
        bytes.withUnsafeBytes { bytes in
            var assembler = RequestAssembler(limits: FramingLimits())
            assembler.receive(bytes) { event in
                guard case .request(let request) = event else { return }
                #expect(codec.decode(request) { _ in 1 } == 1)
                #expect(codec.decode(request) { $0.readBody().count } == 90_000)
                #expect(codec.decode(request) { $0.readBody() + $0.readBody() }?.count == 90_000)
            }
        }
    }

    @Test(arguments: [nil, "", "-1", "0", "3", "12", "99999999999999999999", "abc"] as [String?])
    func `the body is what came in STDIN whatever CONTENT_LENGTH says`(length: String?) throws {
        let codec = try Codec()
        let body = [UInt8]("twelve bytes")
        var sent = variables(["REQUEST_METHOD": "POST"])
        if let length { sent.append(([UInt8]("CONTENT_LENGTH"), [UInt8](length))) }
        let decoded = CodecTests.decode(
            Record.request(id: .first, variables: sent, body: body),
            by: codec
        )
        #expect(decoded.map { $0?.body } == [body])
        #expect(decoded.first??.values == sent.map(\.value))
        let empty = CodecTests.decode(Record.request(id: .first, variables: sent), by: codec)
        #expect(empty.map { $0?.body } == [[]])
    }

    @Test func `an environment of 120 kB in records of 8 kB is decoded whole`() throws {
        let codec = try Codec()
        let sent = (0..<120).map { index in
            let value = [UInt8](repeating: UInt8(33 + index % 90), count: 990 + index)
            return (name: [UInt8]("VARIABLE_\(index)"), value: value.map { $0 == 61 ? 62 : $0 })
        }
        var pairs: [UInt8] = []
        for (name, value) in sent { NameValuePairs.append(name, value, to: &pairs) }
        let bytes =
            Record.beginRequest(id: .first, keepConnection: false)
            + Record.stream(Record.params, id: 1, pairs, pieceLength: 8_184)
            + Record.record(Record.params, id: 1, []) + Record.record(Record.stdin, id: 1, [])
        #expect(pairs.count > 120_000)
        let expected = try Decoded(pairs: pairs, body: [])
        #expect(CodecTests.decode(bytes, by: codec) == [expected])
        let seen = Seen.request(id: 1, keep: false, dropped: false, pairs: pairs, body: [])
        for cut in stride(from: 1, to: bytes.count, by: 997) {
            #expect(events(of: bytes, cutAt: [cut]) == [seen])
        }
        #expect(events(of: bytes, cutAt: 1..<bytes.count) == [seen])
    }

    @Test(arguments: 0..<5, [0, 1, 8, 24, 255])
    func `padding behind any record is no part of the request`(record: Int, padding: Int) throws {
        let codec = try Codec()
        let pairs = encodedPairs(["NAME": "value"])
        // Padding may hold anything; here it looks like a record.
        let lookalike = Record.record(Record.params, id: 1, encodedPairs(["INJECTED": "yes"]))
        let fill = (lookalike + [UInt8](repeating: 0, count: 255)).prefix(padding)
        var records = [
            Record.beginRequest(id: .first, keepConnection: true),
            Record.record(Record.params, id: 1, pairs, padding: 0),
            Record.record(Record.params, id: 1, []),
            Record.record(Record.stdin, id: 1, [1, 2, 3], padding: 0),
            Record.record(Record.stdin, id: 1, []),
        ]
        records[record][6] = UInt8(padding)
        records[record] += fill
        let bytes = Array(records.joined())
        let expected = try Decoded(pairs: pairs, body: [1, 2, 3])
        #expect(CodecTests.decode(bytes + bytes, by: codec) == [expected, expected])
        #expect(codec.refusals == 0)
    }

    @Test func `records may begin anywhere in what is read at once`() throws {
        let codec = try Codec()
        for length in 8_100...8_200 {
            let long = [(name: [UInt8]("LONG"), value: [UInt8](repeating: 0x78, count: length))]
            var pairs: [UInt8] = []
            NameValuePairs.append(long[0].name, long[0].value, to: &pairs)
            let tail = encodedPairs(["A": "B", "LAST": "one"])
            let bytes =
                Record.beginRequest(id: .first, keepConnection: true)
                + Record.record(Record.params, id: 1, pairs, padding: 0)
                + tail.flatMap { Record.record(Record.params, id: 1, [$0], padding: 1) }
                + Record.record(Record.params, id: 1, [])
                + (0..<9).flatMap { Record.record(Record.stdin, id: 1, [UInt8($0)], padding: 0) }
                + Record.record(Record.stdin, id: 1, [])
            let expected = try Decoded(pairs: pairs + tail, body: Array(0..<9))
            #expect(CodecTests.decode(bytes, by: codec) == [expected])
        }
    }

    @Test func `a request of any size is decoded whatever the one before left`() throws {
        let codec = try Codec()
        // What libfcgi reads at a time, the file that it reads from, and what fits beside it.
        let edges = [8_192, 16_384, 24_576, 32_768, 40_960, 65_536, 98_304]
        let sizes = edges.flatMap { edge in (-17...17).map { edge + $0 } }
        // Each byte of it would do harm in a request.
        let lookalike = Record.request(
            id: .first,
            variables: variables(["INJECTED": "yes"]),
            body: [UInt8](repeating: 1, count: 70)
        )
        let other = [UInt8]((0..<900).map { _ in lookalike }.joined())
        for size in sizes {
            // A lone variable fills the request up, partly in its body where it would be too long.
            let inBody = max(0, size - 60_000)
            let frame = Record.request(
                id: .first,
                variables: [([UInt8]("FILL"), [UInt8](repeating: 120, count: 200))],
                body: [UInt8](repeating: 121, count: inBody)
            ).count
            let value = [UInt8](repeating: 120, count: 200 + size - frame)
            let request = Record.request(
                id: .first,
                variables: [([UInt8]("FILL"), value)],
                body: [UInt8](repeating: 121, count: inBody)
            )
            var expected = Decoded()
            expected.names = [[UInt8]("FILL")]
            expected.values = [value]
            expected.body = [UInt8](repeating: 121, count: inBody)
            #expect(abs(request.count - size) < 8)
            #expect(CodecTests.decode(request, by: codec) == [expected])
            let dirty = Record.request(
                id: .first,
                variables: variables(["A": "B"]),
                body: [UInt8](other.prefix(size % 2 == 0 ? 60_000 : 31_000))
            )
            #expect(CodecTests.decode(dirty, by: codec).first??.values == [[UInt8]("B")])
            let last = CodecTests.decode(lookalike, by: codec)
            #expect(last.first??.names == [[UInt8]("INJECTED")])
        }
        #expect(codec.refusals == 0)
    }

    @Test func `variables of every kind are told from each other`() throws {
        let codec = try Codec()
        let pairs = encodedPairs([
            "": "", "A": "", "B": "=", "C": "a=b=c", "": "no name", "A": "again",
            "FCGI_ROLE": "MINE",
            "BYTES": "\u{1}\u{7f}\u{ff}\r\n",
        ])
        let bytes =
            Record.beginRequest(id: .first, keepConnection: true)
            + Record.record(Record.params, id: 1, pairs)
            + Record.record(Record.params, id: 1, []) + Record.record(Record.stdin, id: 1, [])
        let expected = try Decoded(pairs: pairs, body: [])
        #expect(CodecTests.decode(bytes, by: codec) == [expected])
    }

    @Test func `the library's signal handlers are not left behind`() throws {
        _ = try Codec()
        var action = sigaction()
        #expect(sigaction(SIGPIPE, nil, &action) == 0)
        #expect(action.__sigaction_handler.sa_handler.map { unsafeBitCast($0, to: Int.self) } == 1)
        for number in [SIGTERM, SIGUSR1] {
            #expect(sigaction(number, nil, &action) == 0)
            #expect(action.__sigaction_handler.sa_handler == nil)
        }
    }

    @Test func `what libfcgi refuses is counted, and the codec continues`() throws {
        let codec = try Codec()
        // Not what an assembler emits: the record after BEGIN_REQUEST has another version.
        var bytes = RecordedRequest.all[0].bytes
        bytes[16] = 9
        bytes.withUnsafeBytes { bytes in
            let forged = FramedRequest(
                id: .first,
                keepConnection: true,
                bodyDropped: false,
                bodyBytes: 0,
                records: bytes
            )
            for _ in 0..<3 { #expect(codec.decode(forged) { _ in true } == nil) }
        }
        #expect(codec.refusals == 3)
        let expected = try Decoded(pairs: RecordedRequest.all[0].pairs, body: [])
        #expect(CodecTests.decode(RecordedRequest.all[0].bytes, by: codec) == [expected])
        #expect(Streams(codec.encode([1, 2]).bytes).stdout == [1, 2])
    }
}
