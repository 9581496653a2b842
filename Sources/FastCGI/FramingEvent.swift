/// Bounds on what one connection can make the assembler store, and values for peers that ask.
package struct FramingLimits: Sendable {
    /// All name-value pairs of one request, encoded.
    package var paramsBytes: Int
    /// The body of one request.
    package var bodyBytes: Int
    /// Requests that are assembled at a time on a connection; held requests do not count.
    package var openRequests: Int
    /// Reported to peers that ask for FCGI_MAX_CONNS; not enforced here.
    package var maxConnections: Int
    /// Reported to peers that ask for FCGI_MAX_REQS; not enforced here.
    package var maxRequests: Int

    package init(
        paramsBytes: Int = 131_072,
        bodyBytes: Int = 1_048_576,
        openRequests: Int = 16,
        maxConnections: Int = 16_384,
        maxRequests: Int = 16_384
    ) {
        self.paramsBytes = paramsBytes
        self.bodyBytes = bodyBytes
        self.openRequests = openRequests
        self.maxConnections = maxConnections
        self.maxRequests = maxRequests
    }
}

/// The meaning of a connection's bytes for its owner, in the order in which they arrived.
package enum FramingEvent {
    /// A complete and valid request: BEGIN_REQUEST … empty PARAMS … empty STDIN.
    ///
    /// The assembler does not know which ids are held: the owner must refuse a request with the id of a held one.
    case request(FramedRequest)
    /// FCGI_ABORT_REQUEST for an id that is not being assembled; the owner may hold it.
    case abort(RequestID)
    /// Complete records to send back: GET_VALUES_RESULT or UNKNOWN_TYPE.
    case reply([UInt8])
    /// Precedes the `.reply` to GET_VALUES: this peer asks whether it may multiplex.
    case askedValues
    /// A request that ends here; the bytes are the whole answer, with END_REQUEST at the end.
    ///
    /// For an unknown role, too many open ids, an abort during assembly, and variables that cannot be passed on (these
    /// are answered 400).
    case refuse(RequestID, keepConnection: Bool, [UInt8])
    /// A request whose PARAMS exceeded the limit, once it is complete; nothing of it was stored. To be answered 431.
    case oversizedParams(RequestID, keepConnection: Bool)
    /// The connection must be closed; nothing after it is parsed.
    case violation(FramingViolation)
}

/// The handling of a body that has not arrived yet, decided when the variables have.
package enum BodyVerdict: Sendable {
    /// The body is collected.
    case keep
    /// The body is not needed: the request comes without it, as if it had been too large.
    case drop
    /// The request is answered already; the rest of it is skipped.
    case answered
}

/// A complete, valid request: the records of one id, in order and adjacent.
@safe package struct FramedRequest {
    package let id: RequestID
    package let keepConnection: Bool
    /// The body exceeded the limit and was dropped; to be answered 413.
    package let bodyDropped: Bool
    /// The length of the body in `records`.
    package let bodyBytes: Int
    /// From BEGIN_REQUEST to an empty STDIN. Valid during the callback only.
    package let records: UnsafeRawBufferPointer
}

/// A violation of the protocol that no web server commits.
package struct FramingViolation: Error, Equatable, CustomStringConvertible {
    /// What the specification, or the state of the request, requires.
    package enum Rule: String, Sendable {
        case version = "record version 1"
        case beginID = "a BEGIN_REQUEST with an id that is not 0"
        case beginLength = "a BEGIN_REQUEST of 8 bytes"
        case unusedID = "a BEGIN_REQUEST with an id that is not being received"
        case requestStream = "a record type that belongs to a request being received"
        case paramsBeforeStdin = "the end of PARAMS before STDIN"
        case stdinAfterParams = "STDIN after the end of PARAMS"
        case endOfRequest = "no stream after the end of STDIN"
        case paramsLengths = "PARAMS whose lengths add up at their end"
        case valuesLengths = "a GET_VALUES whose lengths add up at its end"
    }

    package let expected: Rule
    /// The version, type, id or length that was found instead.
    package let found: Int
    /// The position of the record, in bytes since the assembler was created.
    package let offset: Int

    /// Whether the bytes begin with a capital letter, as the methods of HTTP do.
    package var isHTTP: Bool {
        expected == .version && offset == 0 && (0x41...0x5A).contains(found)
    }

    /// Whether the bytes begin with a small letter, as the commands of the bus socket do.
    package var isCommand: Bool {
        expected == .version && offset == 0 && (0x61...0x7A).contains(found)
    }

    /// Whether the bytes begin like a TLS handshake.
    package var isTLS: Bool { expected == .version && offset == 0 && found == 0x16 }

    package var description: String {
        "expected \(expected.rawValue), found \(found) in the record at byte \(offset)"
    }
}
