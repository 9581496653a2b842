import Testing

@testable import FastCGI

@Suite struct AssemblerTests {
    @Test(arguments: RecordedRequest.all)
    func `a request of every web server comes out whole however it is cut`(
        recorded: RecordedRequest
    ) {
        #expect(eventsHoweverCut(recorded.bytes) == [recorded.seen])
        var assembler = RequestAssembler(limits: FramingLimits())
        _ = events(of: recorded.bytes, cutAt: [19, 20, 77], by: &assembler)
        #expect(assembler.isIdle)
    }

    @Test(arguments: RecordedRequest.all)
    func `a request in one piece is emitted where it lies`(recorded: RecordedRequest) {
        let input = recorded.bytes + recorded.bytes
        var starts: [Int] = []
        input.withUnsafeBytes { bytes in
            var assembler = RequestAssembler(limits: FramingLimits())
            assembler.receive(bytes) { event in
                guard case .request(let request) = event else { return }
                #expect(request.records.count == recorded.bytes.count)
                #expect(request.bodyBytes == recorded.body.count)
                starts.append(request.records.baseAddress! - bytes.baseAddress!)
            }
            #expect(assembler.isIdle)
        }
        #expect(starts == [0, recorded.bytes.count])
    }

    @Test func `a forbidden byte in a variable is seen wherever it stands`() {
        var wrong: [String] = []
        for (nameLength, valueLength) in (0..<20).flatMap({ name in
            [0, 1, 2, 7, 8, 9, 16, 17, 130].map { (name, $0) }
        }) {
            for place in -1..<nameLength + valueLength {
                for byte in [0, UInt8(ascii: "=")] {
                    var bytes: [UInt8] = []
                    let text = [UInt8](repeating: 0x41, count: nameLength + valueLength)
                    NameValuePairs.append([0x42, 0x43], [0x3D], to: &bytes)
                    NameValuePairs.append(
                        Array(text[..<nameLength]),
                        Array(text[nameLength...]),
                        to: &bytes
                    )
                    if place >= 0 { bytes[bytes.count - text.count + place] = byte }
                    let isReadable = place < 0 || byte != 0 && place >= nameLength
                    for step in [1, 5, bytes.count] {
                        var check = PairCheck()
                        bytes.withUnsafeBytes { bytes in
                            for start in stride(from: 0, to: bytes.count, by: step) {
                                let end = min(start + step, bytes.count)
                                check.take(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                            }
                        }
                        if check.isReadable != isReadable || !check.isWhole {
                            wrong.append("\(nameLength) \(valueLength) \(place) \(byte) \(step)")
                        }
                    }
                }
            }
        }
        #expect(wrong == [])
    }

    @Test func `pipelined requests come out one after the other`() {
        let three = RecordedRequest.all.prefix(3)
        #expect(eventsHoweverCut(three.flatMap(\.bytes)) == three.map(\.seen))
    }

    @Test(arguments: [1, 2, 255, 256, 65_535] as [UInt16])
    func `any id but zero will do`(value: UInt16) {
        let bytes = Record.request(id: id(value), variables: variables(["A": "B"]))
        #expect(eventsHoweverCut(bytes).map(\.requestID) == [value])
    }

    @Test func `the keep flag is the lowest bit, and others are ignored`() {
        for flags: UInt8 in [0, 1, 0xfe, 0xff] {
            var bytes = Record.request(id: .first, variables: [])
            bytes[10] = flags
            let seen = Seen.request(
                id: 1,
                keep: flags & 1 == 1,
                dropped: false,
                pairs: [],
                body: []
            )
            #expect(eventsHoweverCut(bytes) == [seen])
        }
    }

    @Test func `padding from 0 to 255 is skipped, on empty records too`() {
        for padding in [0, 1, 8, 255] {
            let pairs = encodedPairs(["NAME": "value"])
            let bytes =
                Record.beginRequest(id: .first, keepConnection: false)
                + Record.record(Record.params, id: 1, pairs, padding: padding)
                + Record.record(Record.params, id: 1, [], padding: padding)
                + Record.record(Record.stdin, id: 1, [9, 9], padding: padding)
                + Record.record(Record.stdin, id: 1, [], padding: padding)
            let seen = Seen.request(id: 1, keep: false, dropped: false, pairs: pairs, body: [9, 9])
            #expect(eventsHoweverCut(bytes + bytes) == [seen, seen])
        }
    }

    @Test func `a body in records of one byte is stored joined`() {
        let body = [UInt8](repeating: 7, count: 300)
        let bytes =
            Record.beginRequest(id: .first, keepConnection: false)
            + Record.record(Record.params, id: 1, [])
            + body.flatMap { Record.record(Record.stdin, id: 1, [$0], padding: 255) }
            + Record.record(Record.stdin, id: 1, [])
        var stored = 0
        bytes.withUnsafeBytes { bytes in
            var assembler = RequestAssembler(limits: FramingLimits())
            assembler.receive(UnsafeRawBufferPointer(rebasing: bytes[..<40])) { _ in }
            assembler.receive(UnsafeRawBufferPointer(rebasing: bytes[40...])) { event in
                guard case .request(let request) = event else { return }
                stored = request.records.count
                #expect(Streams(Array(request.records)).stdin == body)
            }
        }
        #expect(stored == 16 + 8 + 8 + 300 + 8)
    }

    @Test func `idle means that nothing partial is stored`() {
        let bytes = RecordedRequest.all[1].bytes
        for cut in 1..<bytes.count {
            var assembler = RequestAssembler(limits: FramingLimits())
            _ = events(of: Array(bytes[..<cut]), by: &assembler)
            #expect(!assembler.isIdle)
            _ = events(of: Array(bytes[cut...]), by: &assembler)
            #expect(assembler.isIdle)
        }
    }

    @Test func `what is oldest moves on when requests come in pieces back to back`() {
        let bytes = RecordedRequest.all[1].bytes
        var assembler = RequestAssembler(limits: FramingLimits())
        #expect(assembler.oldestUnfinished == nil)
        _ = events(of: Array(bytes.dropLast(50)), by: &assembler)
        #expect(assembler.oldestUnfinished == 0)
        for round in 1...3 {
            _ = events(of: bytes.suffix(50) + bytes.dropLast(50), by: &assembler)
            #expect(assembler.oldestUnfinished == round * bytes.count)
        }
        _ = events(of: bytes.suffix(50), by: &assembler)
        #expect(assembler.oldestUnfinished == nil)
    }

    @Test func `what is oldest stays so while others are finished`() {
        var assembler = RequestAssembler(limits: FramingLimits())
        let whole = RecordedRequest.all[0].bytes
        let begin = Record.beginRequest(id: id(3), keepConnection: true)
        _ = events(of: whole + begin, by: &assembler)
        #expect(assembler.oldestUnfinished == whole.count)
        for cut in [0, 5, 100] {
            _ = events(of: whole, cutAt: [cut], by: &assembler)
            #expect(assembler.oldestUnfinished == whole.count)
        }
        _ = events(of: Array(whole.dropLast()), by: &assembler)
        #expect(assembler.oldestUnfinished == whole.count)
        _ = events(of: whole.suffix(1) + Record.abortRequest(id: id(3)), by: &assembler)
        #expect(assembler.oldestUnfinished == nil)
    }

    @Test func `a record in pieces is unfinished even if it belongs to no request`() {
        var assembler = RequestAssembler(limits: FramingLimits())
        let record = Record.abortRequest(id: .first)
        for cut in 1..<record.count {
            _ = events(of: Array(record[..<cut]), by: &assembler)
            let start = (cut - 1) * record.count
            #expect(assembler.oldestUnfinished == start)
            _ = events(of: Array(record[cut...]), by: &assembler)
            #expect(assembler.oldestUnfinished == nil)
        }
    }

    // MARK: Several ids

    @Test func `requests whose records alternate come out each by itself`() {
        func records(_ value: UInt16) -> [[UInt8]] {
            let name = "REQUEST_NUMBER_\(value)"
            let pairs = encodedPairs([name: "\(value)"])
            return [
                Record.beginRequest(id: id(value), keepConnection: true),
                Record.record(Record.params, id: value, pairs[..<5]),
                Record.record(Record.params, id: value, pairs[5...]),
                Record.record(Record.params, id: value, []),
                Record.record(
                    Record.stdin,
                    id: value,
                    [UInt8](repeating: 1, count: Int(value & 63))
                ),
                Record.record(Record.stdin, id: value, []),
            ]
        }
        let ids: [UInt16] = [1, 3, 65_535]
        let all = ids.map(records)
        let bytes = (0..<6).flatMap { step in all.flatMap { $0[step] } }
        let expected = ids.map { value in
            Seen.request(
                id: value,
                keep: true,
                dropped: false,
                pairs: encodedPairs(["REQUEST_NUMBER_\(value)": "\(value)"]),
                body: [UInt8](repeating: 1, count: Int(value & 63))
            )
        }
        #expect(eventsHoweverCut(bytes) == expected)
    }

    @Test func `a new request may come whole among the pieces of another`() {
        let (nginx, haproxy) = (RecordedRequest.all[0], RecordedRequest.all[4])
        let middle = 16 + 8
        var first = Array(nginx.bytes)
        // nginx's PARAMS as two records, so that there is a boundary inside the stream.
        first =
            Record.beginRequest(id: .first, keepConnection: true)
            + Record.record(Record.params, id: 1, nginx.pairs[..<middle])
        let second =
            Record.record(Record.params, id: 1, nginx.pairs[middle...])
            + Record.record(Record.params, id: 1, []) + Record.record(Record.stdin, id: 1, [])
        #expect(eventsHoweverCut(first + haproxy.bytes + second) == [haproxy.seen, nginx.seen])
    }

    @Test func `ids above the limit are refused as overload, and the others continue`() {
        let limits = FramingLimits(openRequests: 2)
        let begins = [1, 2, 3].flatMap { Record.beginRequest(id: id($0), keepConnection: true) }
        func rest(_ value: UInt16) -> [UInt8] {
            Record.record(Record.params, id: value, []) + Record.record(Record.stdin, id: value, [])
        }
        let seen = eventsHoweverCut(begins + rest(3) + rest(1) + rest(2), limits: limits)
        let end = Record.endRequest(id: id(3), protocolStatus: .overloaded)
        #expect(seen.first == .refuse(3, keep: true, end))
        #expect(seen.dropFirst().map(\.requestID) == [1, 2])
    }

    // MARK: Abort

    @Test func `an abort of an id that is not being received is told`() {
        let bytes = RecordedRequest.all[0].bytes + Record.abortRequest(id: .first)
        #expect(eventsHoweverCut(bytes) == [RecordedRequest.all[0].seen, .abort(1)])
        #expect(eventsHoweverCut(Record.abortRequest(id: id(77))) == [.abort(77)])
    }

    @Test func `an abort ends a request that is being received, and its stragglers are ignored`() {
        let request = Record.request(
            id: id(5),
            keepConnection: true,
            variables: variables(["A": "B"]),
            body: [1]
        )
        let end = Record.endRequest(id: id(5), protocolStatus: .requestComplete)
        for cut in [16, 32, 40] {
            let bytes = request[..<cut] + Record.abortRequest(id: id(5)) + request[cut...]
            #expect(eventsHoweverCut(Array(bytes)) == [.refuse(5, keep: true, end)])
        }
    }

    @Test func `an aborted id may be used again`() {
        let again = RecordedRequest.all[0]
        let bytes = again.bytes[..<16] + Record.abortRequest(id: .first) + again.bytes
        #expect(eventsHoweverCut(Array(bytes)).last == again.seen)
    }

    // MARK: Roles

    @Test(arguments: [0, 2, 3, 9, 256, 65_535] as [UInt16])
    func `another role is refused, and the rest of its records is ignored`(role: UInt16) {
        var bytes = Record.request(id: id(7), variables: variables(["A": "B"]), body: [1, 2])
        bytes.replaceSubrange(8..<10, with: [UInt8(role >> 8), UInt8(role & 0xff)])
        bytes += Record.record(Record.data, id: 7, [1]) + Record.record(Record.data, id: 7, [])
        let end = Record.endRequest(id: id(7), protocolStatus: .unknownRole)
        let next = RecordedRequest.all[1]
        #expect(
            eventsHoweverCut(bytes + next.bytes) == [.refuse(7, keep: false, end), next.seen]
        )
    }

    // MARK: Requests that are judged before their body has come

    /// BEGIN and PARAMS, and a body of some length with its end.
    private func parts(_ body: Int) -> (head: [UInt8], body: [UInt8]) {
        let whole = Record.request(id: .first, variables: variables(["A": "B"]))
        let head = Array(whole.dropLast(RecordHeader.byteCount))
        return (
            head,
            Record.stream(Record.stdin, id: 1, [UInt8](repeating: 7, count: body))
                + RecordHeader(type: Record.stdin, id: 1, contentLength: 0).bytes
        )
    }

    private func feed(
        _ bytes: [UInt8],
        _ verdict: BodyVerdict,
        by assembler: inout RequestAssembler
    ) -> (judged: [Int], seen: [Seen]) {
        var judged: [Int] = []
        var seen: [Seen] = []
        bytes.withUnsafeBytes { bytes in
            assembler.receive(
                bytes,
                judge: {
                    judged.append($0.records.count)
                    #expect(Streams(Array($0.records)).types.last == Record.stdin)
                    return verdict
                },
                each: { seen.append(Seen($0)) }
            )
        }
        return (judged, seen)
    }

    @Test func `a body was kept although the request was answered before it came`() {
        var assembler = RequestAssembler(limits: FramingLimits())
        let (head, body) = parts(50_000)
        let first = feed(head, .answered, by: &assembler)
        #expect(first.judged.count == 1 && first.seen.isEmpty)
        #expect(assembler.storedBytes == 0 && assembler.isPassingOver && !assembler.isIdle)
        #expect(feed(Array(body.dropLast()), .answered, by: &assembler).seen.isEmpty)
        #expect(assembler.storedBytes == 0)
        #expect(feed([body[body.count - 1]], .answered, by: &assembler).seen.isEmpty)
        #expect(assembler.isIdle)
        #expect(feed(head + body, .keep, by: &assembler).seen.map(\.requestID) == [1])
    }

    @Test func `an id that is answered may be begun again before its body has ended`() {
        var assembler = RequestAssembler(limits: FramingLimits())
        let (head, body) = parts(100)
        _ = feed(head + body.dropLast(RecordHeader.byteCount), .answered, by: &assembler)
        let again = feed(head + body, .keep, by: &assembler)
        #expect(again.seen.map(\.requestID) == [1])
        #expect(assembler.isIdle)
    }

    @Test func `an abort of a request that is answered says nothing more`() {
        var assembler = RequestAssembler(limits: FramingLimits())
        _ = feed(parts(100).head, .answered, by: &assembler)
        let abort = RecordHeader(type: Record.abortRequest, id: 1, contentLength: 0).bytes
        #expect(feed(abort, .keep, by: &assembler).seen.isEmpty)
        #expect(assembler.isIdle)
    }

    @Test func `a body that is not used is not kept`() {
        var assembler = RequestAssembler(limits: FramingLimits())
        let (head, body) = parts(60_000)
        _ = feed(head, .drop, by: &assembler)
        let before = assembler.storedBytes
        _ = feed(Array(body.prefix(50_000)), .drop, by: &assembler)
        #expect(assembler.storedBytes == before)
        let seen = feed(Array(body.dropFirst(50_000)), .drop, by: &assembler).seen
        guard case .request(_, _, let dropped, let pairs, let kept)? = seen.first else {
            Issue.record("the request did not come: \(seen)")
            return
        }
        #expect(dropped && !pairs.isEmpty && kept.isEmpty)
    }

    @Test func `unfinished requests can be given up, each once`() {
        var assembler = RequestAssembler(limits: FramingLimits())
        let (head, body) = parts(60_000)
        _ = feed(head + body.prefix(30_000), .keep, by: &assembler)
        #expect(assembler.storedBytes >= 30_000)
        #expect(assembler.giveUp().map(\.id.value) == [1])
        #expect(assembler.giveUp().isEmpty)
        #expect(assembler.storedBytes == 0)
        #expect(feed(Array(body.dropFirst(30_000)), .keep, by: &assembler).seen.isEmpty)
        #expect(assembler.isIdle)
    }
}
