internal import Text

/// A complete answer to one request.
package struct Answer: Sendable {
    /// The header of a CGI response (RFC 3875 §6): `Status: 200 OK`, header lines, an empty line. Empty for an answer
    /// that was begun with early headers, and if `closes`.
    package let header: [UInt8]
    package let body: [UInt8]
    package let status: Int
    /// Whether the connection is closed without an answer, as a fixed endpoint's `on_timeout = close` requires.
    package let closes: Bool
    /// Of a problem: what it was made from. An object, so that other answers are not larger for it.
    fileprivate var problem: UnnamedProblem?
    /// Whether its 503 is no fault: it says that nothing has come, as an endpoint with `on_timeout = 503` ends each wait,
    /// or that its client or a reload has ended the request.
    var isOrdinaryEnd = false
    /// The status by which it counts; 0 for the ordinary end of a wait: a 503 that is no fault, or none at all.
    package var countedStatus: Int { isOrdinaryEnd || closes ? 0 : status }
    /// A remark for the administrator.
    package fileprivate(set) var note: Remark?
    /// The deciding setting of the ini file: of interest during configuration.
    package fileprivate(set) var decision: Remark?

    init(_ header: [UInt8], _ status: HTTPStatus, body: [UInt8] = []) {
        self.header = header
        self.body = body
        self.status = status.rawValue
        self.closes = false
    }

    private init(closing status: HTTPStatus) {
        (header, body) = ([], [])
        self.status = status.rawValue
        closes = true
    }

    static let closing = Answer(closing: .noContent)

    package var isProblem: Bool { problem != nil }

    /// A problem that tells the name of its request, in the field `Holdfast-Request-ID` and the member `request`.
    package func named(_ name: RequestName) -> Answer {
        guard var named = problem?.answer(named: name) else { return self }
        named.isOrdinaryEnd = isOrdinaryEnd
        return named
    }

    /// The complete CGI response.
    package var document: [UInt8] { header + body }
}

/// A problem, and the answer to it as far as the name of the request does not matter.
private final class UnnamedProblem: Sendable {
    private let document: CGIDocument
    private let problem: Problem

    init(_ document: CGIDocument, _ problem: Problem) {
        (self.document, self.problem) = (document, problem)
    }

    func answer(named name: RequestName?) -> Answer {
        var document = document
        if let name { document.field("Holdfast-Request-ID: ") { $0 += name.utf8 } }
        var answer = document.answer(body: problem.json(named: name))
        answer.problem = self
        (answer.note, answer.decision) = (problem.note, problem.decision)
        return answer
    }
}

/// The properties that all answers to a request share, whatever their content.
package struct Shape: Hashable, Sendable {
    package let origin: OriginDecision
    /// HEAD: the headers of the answer to GET, without the body.
    package let headOnly: Bool

    /// A text of the service's own; `headers` are further fields, whose values are cut at control characters.
    package func plain(
        _ contentType: StaticString,
        _ body: some Sequence<UInt8>,
        status: HTTPStatus = .ok,
        retryAfterSeconds: Int? = nil,
        headers: [(name: StaticString, value: String)] = []
    ) -> Answer {
        var document = CGIDocument(status, self)
        document.field("Content-Type: ", contentType)
        document.line("Cache-Control: no-store\r\n")
        if let retryAfterSeconds { document.field("Retry-After: ", decimal: retryAfterSeconds) }
        for header in headers { document.field(header.name, safe: header.value) }
        return document.answer(body: Array(body))
    }

    package func plain(
        _ contentType: StaticString,
        _ body: String,
        status: HTTPStatus = .ok,
        retryAfterSeconds: Int? = nil,
        headers: [(name: StaticString, value: String)] = []
    ) -> Answer {
        plain(
            contentType,
            body.utf8,
            status: status,
            retryAfterSeconds: retryAfterSeconds,
            headers: headers
        )
    }

    /// The service's status.
    ///
    /// - Parameter members: those of a JSON object, without its braces.
    package func status(_ members: [UInt8]) -> Answer {
        var object: [UInt8] = []
        object.reserveCapacity(members.count + 3)
        object.openObject()
        object += members
        object.closeObjectAndLine()
        return plain("application/json; charset=utf-8", object)
    }

    /// Success, with nothing to say.
    package func noContent() -> Answer {
        var document = CGIDocument(.noContent, self)
        document.line("Cache-Control: no-store\r\n")
        return document.answerWithoutBody()
    }

    /// The answer of `-/ready` when the service is not ready, with the reason.
    package func notReady(_ why: String) -> Answer {
        plain(
            "text/plain; charset=utf-8",
            "not ready: \(why)\n",
            status: .unavailable,
            retryAfterSeconds: 2
        )
    }

    package func answer(_ problem: Problem) -> Answer { answer(problem) { _ in } }

    /// - Parameter further: writes further fields.
    func answer(_ problem: Problem, _ further: (inout CGIDocument) -> Void) -> Answer {
        var document = CGIDocument(problem.status, self)
        document.line("Content-Type: application/problem+json\r\nCache-Control: no-store\r\n")
        if let allow = problem.allow { document.field("Allow: ", allow) }
        if let type = problem.acceptQuery { document.field("Accept-Query: ", type) }
        if let challenge = problem.challenge { document.field("WWW-Authenticate: ", challenge) }
        if let seconds = problem.retryAfterSeconds {
            document.field("Retry-After: ", decimal: seconds)
        }
        further(&document)
        return UnnamedProblem(document, problem).answer(named: nil)
    }
}

/// A CGI response under construction: status and header lines first, then the body.
struct CGIDocument: Sendable {
    private var bytes: [UInt8] = []
    private let status: HTTPStatus
    private let headOnly: Bool

    /// Starts with what every answer contains: the status, `Vary`, CORS.
    ///
    /// - Parameters:
    ///   - location: precedes the status.
    ///   - vary: the fields of the request that an answer depends on.
    init(
        _ status: HTTPStatus,
        _ shape: Shape,
        location: [UInt8]? = nil,
        vary: StaticString = "Accept, Origin"
    ) {
        self.status = status
        headOnly = shape.headOnly
        bytes.reserveCapacity(640)
        if let location {
            bytes.append("Location: ")
            bytes.append(contentsOf: location)
            bytes.append("\r\n")
        }
        bytes.append("Status: ")
        bytes.append(decimal: status.rawValue)
        bytes.append(UInt8(ascii: " "))
        bytes.append(status.phrase)
        bytes.append("\r\nVary: ")
        bytes.append(vary)
        bytes.append("\r\nX-Content-Type-Options: nosniff\r\n")
        switch shape.origin {
        case .silent: return
        case .anyone: bytes.append("Access-Control-Allow-Origin: *\r\n")
        case .listed(let origin):
            bytes.append("Access-Control-Allow-Credentials: true\r\nAccess-Control-Allow-Origin: ")
            bytes.append(text: origin)
            bytes.append("\r\n")
        }
        bytes.append(
            """
            Access-Control-Expose-Headers: Link, ETag, Location, Retry-After, Holdfast-Cursor, \
            Holdfast-Gap, Holdfast-Request-ID, Preference-Applied\r\n
            """
        )
    }

    /// Asks those on the way to pass on each piece as it comes (RFC 10036).
    static let incremental: StaticString = "Incremental: ?1\r\n"

    /// Appends complete lines, each with its end.
    mutating func line(_ text: StaticString) {
        bytes.append(text)
    }

    /// `name` includes the colon and the blank.
    mutating func field(_ name: StaticString, _ value: StaticString) {
        bytes.append(name)
        bytes.append(value)
        bytes.append("\r\n")
    }

    mutating func field(_ name: StaticString, decimal value: Int) {
        bytes.append(name)
        bytes.append(decimal: value)
        bytes.append("\r\n")
    }

    /// A value that may contain foreign text: it is cut before the first byte that is neither a visible character nor a
    /// blank.
    mutating func field(_ name: StaticString, safe value: String) {
        bytes.append(name)
        bytes.append(contentsOf: value.utf8.prefix { $0.isVisibleASCII || $0 == 0x20 })
        bytes.append("\r\n")
    }

    mutating func field(_ name: StaticString, _ write: (inout [UInt8]) -> Void) {
        bytes.append(name)
        write(&bytes)
        bytes.append("\r\n")
    }

    /// The header block alone: the body follows later, of unknown length.
    consuming func openEnded() -> [UInt8] {
        bytes.append("\r\n")
        return bytes
    }

    consuming func answer(body: [UInt8]) -> Answer {
        bytes.append("Content-Length: ")
        bytes.append(decimal: body.count)
        bytes.append("\r\n\r\n")
        return Answer(bytes, status, body: headOnly ? [] : body)
    }

    /// For 204 and 304, which have no body and do not give its length.
    consuming func answerWithoutBody() -> Answer {
        bytes.append("\r\n")
        return Answer(bytes, status)
    }
}
