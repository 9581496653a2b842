import Testing

@testable import FastCGI

/// Inputs we refuse: none of them is emitted as a request, and none gets further than the assembler.
@Suite struct RefusedInputTests {
    struct Case: CustomTestStringConvertible {
        let what: String
        let rule: FramingViolation.Rule
        let bytes: [UInt8]
        var testDescription: String { what }

        init(_ what: String, _ rule: FramingViolation.Rule, _ records: [UInt8]...) {
            self.what = what
            self.rule = rule
            bytes = Array(records.joined())
        }
    }

    private static let begin = Record.beginRequest(id: .first, keepConnection: true)
    private static func params(_ content: [UInt8]) -> [UInt8] {
        Record.record(Record.params, id: 1, content)
    }
    private static func stdin(_ content: [UInt8]) -> [UInt8] {
        Record.record(Record.stdin, id: 1, content)
    }
    private static let pair = encodedPairs(["NAME": "value"])
    private static let whole = begin + params(pair) + params([]) + stdin([])

    static let cases: [Case] = [
        Case("HTTP", .version, [UInt8]("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        Case("a command of the bus, shorter than a header", .version, [UInt8]("ping\n")),
        Case("version 0", .version, [0, 1, 0, 1, 0, 8, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]),
        Case("version 2 in mid-request", .version, begin, [2, 4, 0, 1, 0, 0, 0, 0]),
        Case("BEGIN with id 0", .beginID, [1, 1, 0, 0, 0, 8, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]),
        Case(
            "BEGIN of 7 bytes",
            .beginLength,
            [1, 1, 0, 1, 0, 7, 1, 0],
            [0, 1, 0, 0, 0, 0, 0, 0]
        ),
        Case(
            "BEGIN of 9 bytes",
            .beginLength,
            [1, 1, 0, 1, 0, 9, 0, 0],
            [0, 1, 0, 0, 0, 0, 0, 0]
        ),
        Case("BEGIN of no bytes", .beginLength, [1, 1, 0, 1, 0, 0, 0, 0]),
        Case("BEGIN twice", .unusedID, begin, begin),
        Case("BEGIN between PARAMS", .unusedID, begin, params(pair), begin, params([]), stdin([])),
        Case("BEGIN in the body", .unusedID, begin, params([]), stdin([1]), begin, stdin([])),
        Case("STDIN first", .paramsBeforeStdin, begin, stdin([]), params([]), stdin([])),
        Case("STDIN among PARAMS", .paramsBeforeStdin, begin, params(pair), stdin([1]), params([])),
        Case("second empty PARAMS", .stdinAfterParams, begin, params([]), params([]), stdin([])),
        Case("PARAMS after PARAMS", .stdinAfterParams, begin, params([]), params(pair), stdin([])),
        Case("PARAMS in the body", .stdinAfterParams, begin, params([]), stdin([1]), params(pair)),
        Case("body after STDIN", .endOfRequest, whole, stdin([1, 2, 3])),
        Case("PARAMS after STDIN", .endOfRequest, whole, params(pair)),
        Case("empty PARAMS after STDIN", .endOfRequest, whole, params([])),
        Case("DATA after STDIN", .endOfRequest, whole, Record.record(Record.data, id: 1, [1])),
        Case("DATA first", .requestStream, begin, Record.record(Record.data, id: 1, [1])),
        Case(
            "DATA in the body",
            .requestStream,
            begin,
            params([]),
            Record.record(Record.data, id: 1, []),
            stdin([])
        ),
        Case(
            "STDOUT of a request",
            .requestStream,
            begin,
            Record.record(Record.stdout, id: 1, [1])
        ),
        Case(
            "END_REQUEST from the peer",
            .requestStream,
            begin,
            Record.endRequest(id: .first, protocolStatus: .requestComplete)
        ),
        Case(
            "GET_VALUES with the id of a request",
            .requestStream,
            begin,
            Record.record(Record.getValues, id: 1, [])
        ),
        Case("a type nobody knows", .requestStream, begin, Record.record(99, id: 1, [1])),
        Case("a pair cut short", .paramsLengths, begin, params([1, 1, 65]), params([]), stdin([])),
        Case(
            "a length cut short",
            .paramsLengths,
            begin,
            params([0x80, 0]),
            params([]),
            stdin([])
        ),
        Case("no value length", .paramsLengths, begin, params(pair + [3]), params([]), stdin([])),
        Case(
            "name of 7fffffff, value too",
            .paramsLengths,
            begin,
            params([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 65]),
            params([]),
            stdin([])
        ),
        Case(
            "name of 7ffffffe",
            .paramsLengths,
            begin,
            params([0xff, 0xff, 0xff, 0xfe, 0, 65]),
            params([]),
            stdin([])
        ),
        Case(
            "name of 7ffffffe, value of 2",
            .paramsLengths,
            begin,
            params([0xff, 0xff, 0xff, 0xfe, 2, 65]),
            params([]),
            stdin([])
        ),
        Case(
            "name of 40000000",
            .paramsLengths,
            begin,
            params([0xc0, 0, 0, 0, 0, 65]),
            params([]),
            stdin([])
        ),
        Case(
            "value of 7fffffff",
            .paramsLengths,
            begin,
            params([1, 0xff, 0xff, 0xff, 0xff, 65]),
            params([]),
            stdin([])
        ),
        Case(
            "GET_VALUES cut short",
            .valuesLengths,
            Record.record(Record.getValues, id: 0, [14, 0, 70])
        ),
        Case(
            "GET_VALUES of 7ffffffe",
            .valuesLengths,
            Record.record(Record.getValues, id: 0, [0xff, 0xff, 0xff, 0xfe, 0, 70])
        ),
    ]

    @Test(arguments: cases)
    func `what breaks a rule ends the connection, and nothing after it is read`(refused: Case) {
        let before = eventsHoweverCut(refused.bytes)
        #expect(before.last?.rule == refused.rule)
        #expect(before.count(where: { $0.rule != nil }) == 1)
        let after = refused.bytes + RecordedRequest.all[0].bytes
        #expect(events(of: after) == before)
        #expect(events(of: after, cutAt: 1..<after.count) == before)
    }

    @Test func `a violation says what was expected, found and where`() {
        let seen = events(of: RecordedRequest.all[4].bytes + [UInt8]("GET / HTTP/1.1"))
        let offset = RecordedRequest.all[4].bytes.count
        let violation = FramingViolation(expected: .version, found: 71, offset: offset)
        #expect(seen.last == .violation(violation))
        #expect(
            violation.description
                == "expected record version 1, found 71 in the record at byte \(offset)"
        )
    }

    @Test func `who speaks another protocol is known by the first byte`() {
        for (text, isHTTP, isCommand) in [
            ("G", true, false), ("s", false, true), ("{", false, false), ("\u{16}", false, false),
        ] {
            guard case .violation(let violation)? = events(of: [UInt8](text.utf8)).last else {
                Issue.record("no violation")
                continue
            }
            #expect(violation.isHTTP == isHTTP && violation.isCommand == isCommand)
        }
    }

    @Test func `a broken assembler is not idle, so that it is not replaced`() {
        var assembler = RequestAssembler(limits: FramingLimits())
        _ = events(of: [UInt8]("HTTP/1.1"), by: &assembler)
        #expect(!assembler.isIdle)
    }

    @Test func `records of an id that is not open are ignored`() {
        let strays = [Record.params, Record.stdin, Record.data, Record.stdout, 3, 9, 200]
            .flatMap { Record.record($0, id: 40, [1, 2, 3]) }
        let next = RecordedRequest.all[2]
        #expect(eventsHoweverCut(strays + next.bytes) == [next.seen])
    }

    @Test func `the end of STDIN may be told twice`() {
        let bytes = RefusedInputTests.whole + RefusedInputTests.stdin([])
        #expect(events(of: bytes).map(\.requestID) == [1])
    }

    @Test(arguments: [["A\0B": "c"], ["A": "b\0c"], ["A": "\0"], ["A=B": "c"], ["=": ""]])
    func `variables that cannot be handed on as they are get a 400`(
        pairs: [String: String]
    ) throws {
        let odd = pairs.map { ([UInt8]($0.key), [UInt8]($0.value)) }
        let good = variables(["GOOD": "one"])
        let next = RecordedRequest.all[0]
        let bytes = Record.request(id: id(9), variables: good + odd + good, body: [1, 2])
        let seen = eventsHoweverCut(bytes + next.bytes)
        guard case .refuse(9, keep: false, let answer) = seen.first else {
            Issue.record("not refused: \(seen)")
            return
        }
        let streams = Streams(answer)
        #expect(String(decoding: streams.stdout, as: UTF8.self).hasPrefix("Status: 400 "))
        #expect(streams.types == [Record.stdout, Record.stdout, Record.endRequest])
        #expect(streams.ids == [9])
        #expect(seen.dropFirst() == [next.seen])
    }

    @Test func `a byte that cannot be handed on is found wherever it stands`() {
        for length in 1...20 {
            var text = [UInt8](repeating: UInt8(ascii: "<"), count: length)
            #expect(!isRefused(name: text, value: text))
            for place in 0..<length {
                text[place] = UInt8(ascii: "=")
                #expect(isRefused(name: text, value: []))
                #expect(!isRefused(name: [65], value: text))
                text[place] = 0
                #expect(isRefused(name: text, value: []))
                #expect(isRefused(name: [65], value: text))
                // No other byte is taken for one of them, whatever stands beside it.
                for other: UInt8 in [1, 0x3C, 0x3E, 0x80, 0xBD, 0xFF] {
                    text[place] = other
                    #expect(!isRefused(name: text, value: text))
                }
                text[place] = UInt8(ascii: "<")
            }
        }
    }

    private func isRefused(name: [UInt8], value: [UInt8]) -> Bool {
        let bytes = Record.request(id: id(9), variables: [(name, value)], body: [])
        guard case .refuse = events(of: bytes).first else { return false }
        return true
    }

    // MARK: Limits

    @Test func `params over the limit are told at the request's end`() {
        let limits = FramingLimits(paramsBytes: 40)
        for length in [37, 38, 39, 100] {
            let long = [(name: [UInt8]("A"), value: [UInt8](repeating: 66, count: length))]
            let bytes = Record.request(id: id(2), keepConnection: true, variables: long, body: [1])
            let seen = eventsHoweverCut(bytes + bytes, limits: limits)
            if length + 3 <= 40 {
                #expect(seen.map(\.requestID) == [2, 2])
            } else {
                #expect(seen == Array(repeating: .oversizedParams(2, keep: true), count: 2))
            }
        }
    }

    @Test func `a body over the limit is dropped and the request still told`() {
        let limits = FramingLimits(bodyBytes: 10)
        let pairs = encodedPairs(["A": "B"])
        for length in [9, 10, 11, 12, 200] {
            let body = [UInt8](repeating: 5, count: length)
            let bytes =
                Record.beginRequest(id: id(2), keepConnection: true)
                + Record.record(Record.params, id: 2, pairs)
                + Record.record(Record.params, id: 2, [])
                + Record.stream(Record.stdin, id: 2, body, pieceLength: 4)
                + Record.record(Record.stdin, id: 2, [])
            let seen = Seen.request(
                id: 2,
                keep: true,
                dropped: length > 10,
                pairs: pairs,
                body: length > 10 ? [] : body
            )
            #expect(eventsHoweverCut(bytes, limits: limits) == [seen])
        }
    }

    @Test func `claimed lengths over the limit cost nothing and are judged at the end`() {
        let claim: [UInt8] = [0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff]
        let chunk = [UInt8](repeating: 65, count: 60_000)
        let bytes =
            Record.beginRequest(id: .first, keepConnection: true)
            + Record.record(Record.params, id: 1, claim)
            + (0..<8).flatMap { _ in Record.record(Record.params, id: 1, chunk) }
        var assembler = RequestAssembler(limits: FramingLimits())
        #expect(events(of: bytes, by: &assembler).isEmpty)
        let seen = events(of: Record.record(Record.params, id: 1, []), by: &assembler)
        #expect(seen.map(\.rule) == [.paramsLengths])
    }
}
