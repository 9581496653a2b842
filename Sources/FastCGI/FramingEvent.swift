/// The bounds of what one connection may make us keep, and what we tell peers that ask.
package struct FramingLimits: Sendable {
    /// All name-value pairs of one request, encoded.
    package var paramsBytes: Int
    /// The body of one request.
    package var bodyBytes: Int
    /// Requests being assembled at once on a connection; held requests do not count.
    package var openRequests: Int
    /// Told to peers that ask for FCGI_MAX_CONNS; not enforced here.
    package var maxConnections: Int
    /// Told to peers that ask for FCGI_MAX_REQS; not enforced here.
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

/// What the bytes of a connection mean to the one who serves it, in the order in which they came.
package enum FramingEvent {
    /// A request that is whole and valid: BEGIN_REQUEST … empty PARAMS … empty STDIN.
    ///
    /// The assembler does not know which ids are held: a request with the id of a held one is for the
    /// owner to refuse.
    case request(FramedRequest)
    /// FCGI_ABORT_REQUEST for an id that is not being assembled; the owner may hold it.
    case abort(RequestID)
    /// Whole records to send back: GET_VALUES_RESULT or UNKNOWN_TYPE.
    case reply([UInt8])
    /// Comes before the `.reply` to GET_VALUES: this peer asks whether it may multiplex.
    case askedValues
    /// A request that ends here; the bytes are all there is to send, END_REQUEST the last of them.
    ///
    /// For an unknown role, too many open ids, an abort while assembling, and variables that cannot be
    /// handed on (these are answered 400).
    case refuse(RequestID, keepConnection: Bool, [UInt8])
    /// A request whose PARAMS went over the limit, at its end; nothing of it was kept. To be answered 431.
    case oversizedParams(RequestID, keepConnection: Bool)
    /// The connection must be closed; nothing after it is parsed.
    case violation(FramingViolation)
}

/// What becomes of a body that has not come yet, said when the variables have.
package enum BodyVerdict: Sendable {
    /// It is collected.
    case keep
    /// Nobody looks at it: the request comes without it, as if it had been too large.
    case drop
    /// The request is answered already; what comes of it is passed over.
    case answered
}

/// A whole, valid request: the records of one id, in order, with nothing between them.
@safe package struct FramedRequest {
    package let id: RequestID
    package let keepConnection: Bool
    /// The body went over the limit and its bytes were dropped; to be answered 413.
    package let bodyDropped: Bool
    /// The length of the body in `records`.
    package let bodyBytes: Int
    /// From BEGIN_REQUEST to an empty STDIN. Valid during the callback only.
    package let records: UnsafeRawBufferPointer
}

/// What a peer did that no web server does.
package struct FramingViolation: Error, Equatable, CustomStringConvertible {
    /// What the specification, or the state of the request, asks for.
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
    /// The version, type, id or length that was found in its place.
    package let found: Int
    /// Where the record begins, in bytes since the assembler was made.
    package let offset: Int

    /// It begins with a letter, as the methods of HTTP do.
    package var isHTTP: Bool {
        expected == .version && offset == 0 && (0x41...0x5A).contains(found)
    }

    /// It begins as a TLS handshake does.
    package var isTLS: Bool { expected == .version && offset == 0 && found == 0x16 }

    package var description: String {
        "expected \(expected.rawValue), found \(found) in the record at byte \(offset)"
    }
}
