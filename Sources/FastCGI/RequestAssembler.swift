/// Assembles complete requests from the bytes of one connection, and checks each of them.
///
/// Bytes go in as they were received, events come out. A request that lies complete in one piece of input is emitted in
/// place, without a copy or an allocation (`RequestAssembler+Whole.swift`); web servers send nearly all requests in
/// this way. Everything else goes through `step`, which takes any number of bytes from one upwards, keeps its position,
/// and stores the parts of an unfinished request in an `Assembly`:
/// ```
///   header ──▶ content ──▶ padding ──▶ header …        (each may be empty or cut anywhere)
///     open      take                    finish
/// ```
/// Order of a request's records: BEGIN_REQUEST, PARAMS …, empty PARAMS, STDIN …, empty STDIN. Records of several ids
/// may alternate, and management records (id 0) may be anywhere between them. Records of ids that are not open are
/// ignored (FastCGI 1.0 §3.3): they may belong to a request that was refused or ended early.
///
/// Pure: no descriptor, no clock. While it `isIdle`, its owner may drop it and make a new one later, or `restart` it for
/// another connection.
package struct RequestAssembler {
    let limits: FramingLimits
    var assemblies: [Assembly] = []
    /// The id that was emitted last: its streams have ended, so further records of them are an error.
    var lastFinished: RequestID?

    /// The number of bytes received.
    var position = 0
    /// The position at which the record being received begins.
    var recordOffset = 0
    var header: UInt64 = 0
    var headerBytes = 0
    var record: OpenRecord?
    /// The content of a BEGIN_REQUEST or GET_VALUES record that arrives in pieces; at most 65535 bytes.
    var gathered: [UInt8] = []
    private var isBroken = false

    struct OpenRecord {
        let header: RecordHeader
        let destination: Destination
        var contentLeft: Int
        var paddingLeft: Int
    }

    enum Destination {
        case ignored
        case getValues
        case unknownManagement
        case begin(RequestID)
        case abort(RequestID)
        /// Indices into `assemblies`, which does not change while a record is open.
        case params(Int)
        case stdin(Int)

        var isIgnored: Bool { if case .ignored = self { true } else { false } }
    }

    package init(limits: FramingLimits) {
        self.limits = limits
    }

    /// Whether nothing partial is stored, so that a new assembler would do as well.
    package var isIdle: Bool {
        assemblies.isEmpty && isBetweenRecords && !isBroken
    }

    /// Starts with the first byte of a connection, like a new one, if it `isIdle`.
    ///
    /// - Returns: whether it is.
    package mutating func restart() -> Bool {
        guard isIdle else { return false }
        (position, lastFinished) = (0, nil)
        return true
    }

    /// The position at which the oldest unfinished request or record begins; nil while idle. An owner that sees the
    /// same position for too long gives up waiting for the rest.
    package var oldestUnfinished: Int? {
        assemblies.lazy.map(\.begunAt).min() ?? (isBetweenRecords ? nil : recordOffset)
    }

    var isBetweenRecords: Bool { record == nil && headerBytes == 0 }

    /// The memory that unfinished requests use.
    package var storedBytes: Int {
        assemblies.reduce(gathered.capacity) { $0 + $1.storedBytes }
    }

    /// Whether the rest of an answered request is still to arrive.
    package var isPassingOver: Bool { assemblies.contains { $0.isAnswered } }

    /// Gives up all unfinished requests and returns them; they are to be answered now.
    package mutating func giveUp() -> [(id: RequestID, keepConnection: Bool)] {
        var given: [(id: RequestID, keepConnection: Bool)] = []
        for index in assemblies.indices where !assemblies[index].isAnswered {
            given.append((assemblies[index].id, assemblies[index].keepConnection))
            assemblies[index].passOver()
        }
        return given
    }

    /// Receives bytes, and calls `body` for everything that they complete.
    ///
    /// `judge` is lent each request that arrives in pieces once its variables are complete, before its body, and
    /// decides about the body.
    package mutating func receive(
        _ input: UnsafeRawBufferPointer,
        judge: (FramedRequest) -> BodyVerdict = { _ in .keep },
        each body: (FramingEvent) -> Void
    ) {
        var at = 0
        while at < input.count, !isBroken {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: input[at...])
            let taken: Int
            if isBetweenRecords, let request = unsafe wholeRequest(rest) {
                taken = unsafe request.records.count
                lastFinished = request.id
                body(.request(request))
            } else {
                taken = unsafe step(rest, judge, body)
            }
            position += taken
            at += taken
        }
    }

    /// Receives part of one record: some of its header, content or padding. Returns the number of bytes.
    private mutating func step(
        _ rest: UnsafeRawBufferPointer,
        _ judge: (FramedRequest) -> BodyVerdict,
        _ body: (FramingEvent) -> Void
    ) -> Int {
        guard var record else { return unsafe takeHeader(rest, judge, body) }
        let taken: Int
        if record.contentLeft > 0 {
            taken = min(record.contentLeft, rest.count)
            record.contentLeft -= taken
            unsafe take(UnsafeRawBufferPointer(rebasing: rest[..<taken]), of: record)
        } else {
            taken = min(record.paddingLeft, rest.count)
            record.paddingLeft -= taken
        }
        proceed(with: record, judge, body)
        return taken
    }

    private mutating func takeHeader(
        _ rest: UnsafeRawBufferPointer,
        _ judge: (FramedRequest) -> BodyVerdict,
        _ body: (FramingEvent) -> Void
    ) -> Int {
        if headerBytes == 0 { recordOffset = position }
        let taken = min(RecordHeader.byteCount - headerBytes, rest.count)
        unsafe withUnsafeMutableBytes(of: &header) { header in
            unsafe UnsafeMutableRawBufferPointer(rebasing: header[headerBytes...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<taken]))
        }
        headerBytes += taken
        let header = RecordHeader(raw: header)
        guard headerBytes == RecordHeader.byteCount else {
            // A peer of another protocol may wait for an answer to fewer bytes than a header has.
            if header.version != 1 { fail(violation(.version, Int(header.version)), body) }
            return taken
        }
        headerBytes = 0
        do {
            let opened = OpenRecord(
                header: header,
                destination: try destination(of: header),
                contentLeft: header.contentLength,
                paddingLeft: header.paddingLength
            )
            proceed(with: opened, judge, body)
        } catch {
            fail(error, body)
        }
        return taken
    }

    private mutating func proceed(
        with record: OpenRecord,
        _ judge: (FramedRequest) -> BodyVerdict,
        _ body: (FramingEvent) -> Void
    ) {
        guard record.contentLeft == 0, record.paddingLeft == 0 else {
            self.record = record
            return
        }
        self.record = nil
        do {
            try finish(record, judge, body)
        } catch {
            fail(error, body)
        }
    }

    private mutating func fail(_ violation: FramingViolation, _ body: (FramingEvent) -> Void) {
        isBroken = true
        record = nil
        assemblies = []
        gathered = []
        body(.violation(violation))
    }

    // MARK: One record

    /// The destination of a record's content; throws if the record must not be here.
    func destination(of header: RecordHeader) throws(FramingViolation) -> Destination {
        guard header.version == 1 else { throw violation(.version, Int(header.version)) }
        guard let id = RequestID(header.id) else {
            guard header.type != Record.beginRequest else { throw violation(.beginID, 0) }
            return header.type == Record.getValues ? .getValues : .unknownManagement
        }
        var index = assemblies.firstIndex { $0.id == id }
        // The rest of an answered request may arrive, or the next request with this id instead.
        if let found = index, assemblies[found].isAnswered, header.type != Record.stdin,
            header.type != Record.params || assemblies[found].stage == .body
        {
            index = nil
        }
        switch header.type {
        case Record.beginRequest:
            guard index == nil else { throw violation(.unusedID, Int(id.value)) }
            guard header.contentLength == 8 else {
                throw violation(.beginLength, header.contentLength)
            }
            return .begin(id)
        case Record.abortRequest:
            return .abort(id)
        case Record.params:
            guard let index else { return try stray(header, id) }
            guard assemblies[index].stage == .params else {
                throw violation(.stdinAfterParams, Int(header.type))
            }
            return .params(index)
        case Record.stdin:
            guard let index else { return try stray(header, id) }
            guard assemblies[index].stage == .body else {
                throw violation(.paramsBeforeStdin, Int(header.type))
            }
            return .stdin(index)
        default:
            guard index == nil else { throw violation(.requestStream, Int(header.type)) }
            return try stray(header, id)
        }
    }

    /// A record of an id that is not open is ignored, unless its request has just ended properly.
    private func stray(
        _ header: RecordHeader,
        _ id: RequestID
    ) throws(FramingViolation) -> Destination {
        let streams = [Record.params, Record.stdin, Record.data]
        let repeatsTheEnd = header.type == Record.stdin && header.contentLength == 0
        if id == lastFinished, streams.contains(header.type), !repeatsTheEnd {
            throw violation(.endOfRequest, Int(header.type))
        }
        return .ignored
    }

    private mutating func take(_ content: UnsafeRawBufferPointer, of record: OpenRecord) {
        switch record.destination {
        case .ignored, .unknownManagement, .abort: break
        case .getValues, .begin: unsafe gathered.append(contentsOf: content)
        case .params(let index): unsafe assemblies[index].takeParams(content, limits: limits)
        case .stdin(let index): unsafe assemblies[index].takeBody(content, limits: limits)
        }
    }

    /// The record is complete, with its padding.
    private mutating func finish(
        _ record: OpenRecord,
        _ judge: (FramedRequest) -> BodyVerdict,
        _ body: (FramingEvent) -> Void
    ) throws(FramingViolation) {
        switch record.destination {
        case .ignored:
            break
        case .getValues:
            let reply = unsafe gathered.withUnsafeBytes { content in
                unsafe ManagementRecords.values(askedBy: content, limits: limits)
            }
            gathered = []
            guard let reply else { throw violation(.valuesLengths, record.header.contentLength) }
            body(.askedValues)
            body(.reply(reply))
        case .unknownManagement:
            body(.reply(Record.unknownType(record.header.type)))
        case .begin(let id):
            let content = gathered
            gathered = []
            begin(id, content, body)
        case .abort(let id):
            abort(id, body)
        case .params(let index):
            guard record.header.contentLength == 0 else { return }
            guard assemblies[index].pairsAreWhole else { throw violation(.paramsLengths, 0) }
            assemblies[index].endParams()
            assemblies[index].judge(judge)
        case .stdin(let index):
            guard record.header.contentLength == 0 else { return }
            complete(assemblies.remove(at: index), body)
        }
    }

    // MARK: One request

    /// `content`: role (2 bytes, big-endian), flags (1), reserved (5) (FastCGI 1.0 §5.1).
    private mutating func begin(
        _ id: RequestID,
        _ content: [UInt8],
        _ body: (FramingEvent) -> Void
    ) {
        let role = UInt16(content[0]) << 8 | UInt16(content[1])
        let keepConnection = content[2] & Record.keepConnectionFlag != 0
        if lastFinished == id { lastFinished = nil }
        // Only an answered request with this id can be left.
        assemblies.removeAll { $0.id == id }
        let refusal: Record.ProtocolStatus
        if role != Record.responderRole {
            refusal = .unknownRole
        } else if assemblies.count >= limits.openRequests {
            refusal = .overloaded
        } else {
            assemblies.append(
                Assembly(id: id, keepConnection: keepConnection, begunAt: recordOffset)
            )
            return
        }
        body(
            .refuse(
                id,
                keepConnection: keepConnection,
                Record.endRequest(id: id, protocolStatus: refusal)
            )
        )
    }

    private mutating func abort(_ id: RequestID, _ body: (FramingEvent) -> Void) {
        guard let index = assemblies.firstIndex(where: { $0.id == id }) else {
            return body(.abort(id))
        }
        let aborted = assemblies.remove(at: index)
        if aborted.isAnswered { return }
        body(
            .refuse(
                id,
                keepConnection: aborted.keepConnection,
                Record.endRequest(id: id, protocolStatus: .requestComplete)
            )
        )
    }

    private mutating func complete(_ assembly: Assembly, _ body: (FramingEvent) -> Void) {
        var assembly = assembly
        let (id, keep) = (assembly.id, assembly.keepConnection)
        lastFinished = id
        if assembly.isAnswered { return }
        if assembly.paramsOversized {
            body(.oversizedParams(id, keepConnection: keep))
        } else if !assembly.pairsAreReadable {
            let document =
                "Status: 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n"
                + "a variable has a NUL byte, or its name an equals sign\n"
            body(
                .refuse(id, keepConnection: keep, Record.answer(id: id, Array(document.utf8)))
            )
        } else {
            assembly.endBody { body(.request($0)) }
        }
    }

    private func violation(_ rule: FramingViolation.Rule, _ found: Int) -> FramingViolation {
        FramingViolation(expected: rule, found: found, offset: recordOffset)
    }
}
