internal import Text

/// The parameters that are one client's own. They stand in no link, and change nothing of what is sent to others that ask
/// for the same: thousands of requests may have all but these in common.
struct OwnParameters: Sendable {
    private(set) var subscriber: SubscriberID?
    /// The name that others see.
    private(set) var name: String?
    /// The last one that is not empty.
    private(set) var token: [UInt8]?
    /// Whether a value that counts was not UTF-8.
    private(set) var isMalformed = false

    init() {}

    /// - Parameter part: of a query, with nothing else in it.
    init(_ part: Span<UInt8>) {
        URLDecoding.forEachField(part) { _, name, value in
            guard let parameter = Query.Parameter(part, name) else { return }
            take(parameter, part, value)
        }
    }

    /// Adds one of which `isOwn` is true.
    mutating func take(_ parameter: Query.Parameter, _ source: Span<UInt8>, _ value: Range<Int>) {
        switch parameter {
        case .subscriber: subscriber = subscriber(source, value)
        case .name: name = text(source, value)
        case .token: if !value.isEmpty { token = URLDecoding.form(source, value) }
        case .cacheBreaker: break
        default: preconditionFailure("a parameter that requests have in common")
        }
    }

    private mutating func subscriber(
        _ source: Span<UInt8>,
        _ value: Range<Int>
    ) -> SubscriberID? {
        let id = source.extracting(value)
        // As a rule: an id that needs no text to be made.
        if !id.isEmpty, id.first(UInt8(ascii: "%"), in: 0..<id.count) == nil,
            id.first(UInt8(ascii: "+"), in: 0..<id.count) == nil,
            SubscriberID.isVisible(id)
        {
            return SubscriberID(visible: id)
        }
        return text(source, value).map { SubscriberID($0.utf8Span.span) }
    }

    private mutating func text(_ source: Span<UInt8>, _ range: Range<Int>) -> String? {
        if range.isEmpty { return nil }
        let text = URLDecoding.formText(source, range)
        if text == nil { isMalformed = true }
        return text
    }
}

/// Tells which parts of a request's divided variables are particular; one for each request.
package struct OwnParts {
    /// Whether the last QUERY_STRING has such a part; nil if none has come.
    private var isInQuery: Bool?

    package init() {}

    /// The part of the value of a divided variable, which may be empty: part and rest together say what the value says.
    package mutating func part(
        of name: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer
    ) -> Range<Int> {
        let bytes = unsafe Span<UInt8>(_unsafeBytes: value)
        guard unsafe CGIVariable(name) == .requestURI else {
            let part = Self.part(of: bytes)
            isInQuery = !part.isEmpty
            return part
        }
        guard let mark = bytes.first(UInt8(ascii: "?"), in: 0..<bytes.count), isInQuery != false
        else { return 0..<0 }
        // Nobody reads the query of a target beside QUERY_STRING, but for whether it is UTF-8. An empty target is none.
        if isInQuery == true {
            return unsafe mark > 0 && value.isASCII ? mark..<bytes.count : 0..<0
        }
        let part = Self.part(of: bytes.extracting(mark + 1..<bytes.count))
        // In a target, a fragment may follow.
        guard !part.isEmpty, unsafe value.isASCII,
            bytes.first(UInt8(ascii: "#"), in: 0..<bytes.count) == nil
        else { return 0..<0 }
        return part.lowerBound + mark + 1..<part.upperBound + mark + 1
    }

    /// The part of a query in which parameters stand that are one client's own; empty if there is none.
    ///
    /// It consists of whole fields, and no such parameter stands outside it: whatever is read of the rest and of the part
    /// is what would be read of the whole. So there is none where own parameters stand apart, or where it takes more to
    /// tell them from others: an escape in a name, bytes that are not ASCII.
    private static func part(of query: Span<UInt8>) -> Range<Int> {
        var part: Range<Int>?
        var isWhole = false
        URLDecoding.forEachField(query) { piece, name, _ in
            for at in name
            where query[at] == UInt8(ascii: "%") || query[at] == UInt8(ascii: "+") {
                isWhole = true
            }
            guard Query.Parameter(plain: query, name)?.isOwn == true else { return }
            if let part, part.upperBound < piece.lowerBound { isWhole = true }
            // The separator goes with it.
            let end = min(piece.upperBound + 1, query.count)
            part = (part?.lowerBound ?? piece.lowerBound)..<end
        }
        guard let part, !isWhole, unsafe query.withUnsafeBytes({ unsafe $0.isASCII }) else {
            return 0..<0
        }
        return part
    }
}

/// The id by which a client says in each of its requests that it is the same subscriber; only its hash is kept.
struct SubscriberID: Sendable {
    /// Nil if it is none.
    private let hash: UInt64?

    init(_ text: Span<UInt8>) {
        hash = Self.isVisible(text) ? Self.hash(text) : nil
    }

    /// - Parameter text: of which `isVisible` is true.
    init(visible text: Span<UInt8>) { hash = Self.hash(text) }

    private static func hash(_ text: Span<UInt8>) -> UInt64? {
        (16...64).contains(text.count) ? FNV1a<UInt64>.mixed(text) : nil
    }

    /// Whether all of it is visible ASCII.
    static func isVisible(_ text: Span<UInt8>) -> Bool {
        var most: UInt8 = 0
        unsafe text.withUnsafeBytes { bytes in
            for at in 0..<bytes.count { most = max(most, unsafe bytes[at] &- 0x21) }
        }
        return most <= 0x7E - 0x21
    }

    func value() throws(Problem) -> UInt64 {
        guard let hash else {
            throw .badRequest(
                "invalid_subscriber",
                "The parameter 'subscriber' must be 16 to 64 visible ASCII characters, such as a random UUID."
            )
        }
        return hash
    }
}
