internal import Text

/// The path and the query of a request.
extension HTTPInterface {
    /// The decoded path: that of REQUEST_URI, or else of SCRIPT_NAME and PATH_INFO, which are already decoded.
    static func path(of request: borrowing CGIRequest) throws(Problem) -> [UInt8] {
        let path = if let fields = request.fields { fields.path } else { takenPath(of: request) }
        guard let path else { throw .malformedPath }
        return path
    }

    static func takenPath(of request: borrowing CGIRequest) -> [UInt8]? {
        if request.malformed.contains(.target) { return nil }
        if let uri = request.requestURI {
            let source = uri.utf8Span.span
            return URLDecoding.path(source, pathRange(source))
        }
        let text = (request.scriptName ?? "") + (request.pathInfo ?? "")
        return URLDecoding.path(text.utf8Span.span, 0..<text.utf8.count, escapes: false)
    }

    /// The range of the path: without query and fragment, and for an absolute URI, as sent to proxies, without scheme
    /// and authority.
    private static func pathRange(_ source: Span<UInt8>) -> Range<Int> {
        var end = source.count
        for at in 0..<source.count
        where source[at] == UInt8(ascii: "?") || source[at] == UInt8(ascii: "#") {
            end = at
            break
        }
        guard end > 0, source[0] != UInt8(ascii: "/"),
            let colon = source.first(UInt8(ascii: ":"), in: 0..<end), colon + 3 <= end,
            source.equals("://", in: colon..<colon + 3)
        else { return 0..<end }
        return (source.first(UInt8(ascii: "/"), in: colon + 3..<end) ?? end)..<end
    }

    /// The query; QUERY_STRING takes precedence if the server passes it.
    static func query(of request: borrowing CGIRequest) throws(Problem) -> Query {
        let query = request.fields?.query ?? takenQuery(of: request)
        guard let own = request.own else {
            // As a rule, and without a copy.
            if query.isMalformed { throw .malformedPath }
            return query
        }
        var whole = query
        whole.own = own
        if whole.isMalformed { throw .malformedPath }
        return whole
    }

    /// Without what stands apart in `request.own`.
    static func takenQuery(of request: borrowing CGIRequest) -> Query {
        if let query = request.queryString { return Query(query.utf8Span.span) }
        guard let uri = request.requestURI else { return Query() }
        let source = uri.utf8Span.span
        guard let mark = source.first(UInt8(ascii: "?"), in: 0..<source.count) else {
            return Query()
        }
        let end = source.first(UInt8(ascii: "#"), in: mark..<source.count) ?? source.count
        return Query(source.extracting(mark + 1..<end))
    }

    /// A base path with `/` at both ends.
    static func normalized(_ base: String) -> [UInt8] {
        var path: [UInt8] = [UInt8(ascii: "/")]
        path.reserveCapacity(base.utf8.count + 2)
        for byte in base.utf8 where byte != UInt8(ascii: "/") || path.last != byte {
            path.append(byte)
        }
        if path.last != UInt8(ascii: "/") { path.append(UInt8(ascii: "/")) }
        return path
    }
}
