import Testing

@testable import FastCGI

/// A framing event by its meaning: how records were cut, padded or joined is no part of it.
enum Seen: Equatable {
    case request(id: UInt16, keep: Bool, dropped: Bool, pairs: [UInt8], body: [UInt8])
    case abort(UInt16)
    case reply([UInt8])
    case askedValues
    case refuse(UInt16, keep: Bool, [UInt8])
    case oversizedParams(UInt16, keep: Bool)
    case violation(FramingViolation)

    init(_ event: FramingEvent) {
        switch event {
        case .request(let request):
            let streams = Streams(Array(request.records))
            self = .request(
                id: request.id.value,
                keep: request.keepConnection,
                dropped: request.bodyDropped,
                pairs: streams.params,
                body: streams.stdin
            )
        case .abort(let id): self = .abort(id.value)
        case .reply(let bytes): self = .reply(bytes)
        case .askedValues: self = .askedValues
        case .refuse(let id, let keep, let bytes): self = .refuse(id.value, keep: keep, bytes)
        case .oversizedParams(let id, let keep): self = .oversizedParams(id.value, keep: keep)
        case .violation(let violation): self = .violation(violation)
        }
    }

    var rule: FramingViolation.Rule? {
        if case .violation(let violation) = self { violation.expected } else { nil }
    }

    var requestID: UInt16? {
        if case .request(let id, _, _, _, _) = self { id } else { nil }
    }
}

/// The streams in a sequence of records, put together again by simple means.
struct Streams {
    var ids: Set<UInt16> = []
    var types: [UInt8] = []
    var params: [UInt8] = []
    var stdin: [UInt8] = []
    var stdout: [UInt8] = []
    var recordLengths: [Int] = []

    init(_ records: [UInt8]) {
        var at = 0
        while at + 8 <= records.count {
            let header = RecordHeader(records[at...])
            let content = records[(at + 8)..<(at + 8 + header.contentLength)]
            ids.insert(header.id)
            types.append(header.type)
            recordLengths.append(header.recordLength)
            if header.type == Record.params { params += content }
            if header.type == Record.stdin { stdin += content }
            if header.type == Record.stdout { stdout += content }
            at += header.recordLength
        }
        #expect(at == records.count, "records end where the bytes end")
    }
}

/// What an assembler says of `input`, given to it in the pieces between the cuts (ascending).
func events(
    of input: [UInt8],
    cutAt cuts: some Sequence<Int> = [],
    limits: FramingLimits = FramingLimits()
) -> [Seen] {
    var assembler = RequestAssembler(limits: limits)
    return events(of: input, cutAt: cuts, by: &assembler)
}

func events(
    of input: [UInt8],
    cutAt cuts: some Sequence<Int> = [],
    by assembler: inout RequestAssembler
) -> [Seen] {
    var seen: [Seen] = []
    input.withUnsafeBytes { bytes in
        var start = 0
        for end in Array(cuts) + [bytes.count] {
            let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            assembler.receive(piece) { seen.append(Seen($0)) }
            start = end
        }
    }
    return seen
}

/// The events of `input`, after a check that they are the same however it is cut.
func eventsHoweverCut(
    _ input: [UInt8],
    limits: FramingLimits = FramingLimits(),
    sourceLocation: SourceLocation = #_sourceLocation
) -> [Seen] {
    let whole = events(of: input, limits: limits)
    let bytewise = events(of: input, cutAt: 1..<max(input.count, 1), limits: limits)
    #expect(bytewise == whole, "byte by byte", sourceLocation: sourceLocation)
    for cut in 1..<max(input.count, 1) {
        guard events(of: input, cutAt: [cut], limits: limits) != whole else { continue }
        Issue.record("other events when cut at byte \(cut)", sourceLocation: sourceLocation)
        break
    }
    return whole
}

func id(_ value: UInt16) -> RequestID { RequestID(value)! }

extension [UInt8] {
    init(_ text: String) { self = Array(text.utf8) }
}

func variables(_ pairs: KeyValuePairs<String, String>) -> [(name: [UInt8], value: [UInt8])] {
    pairs.map { ([UInt8]($0.key), [UInt8]($0.value)) }
}

func encodedPairs(_ pairs: KeyValuePairs<String, String>) -> [UInt8] {
    var bytes: [UInt8] = []
    for (name, value) in pairs { NameValuePairs.append([UInt8](name), [UInt8](value), to: &bytes) }
    return bytes
}
