/// The CGI variables (RFC 3875 §4.1) that Holdfast uses.
enum CGIVariable {
    case https, timeToLive, via, host, pathInfo, uniqueID, topic
    case requestURI, accept, scriptName, origin, cookie, prefer, remoteUser, remoteAddress
    case contentType, queryString
    case base, read, user, method, scheme, contentLength, write, probe, forwarded, serverSoftware
    case `operator`, ownContentType
    case ifNoneMatch, authorization, publisher, holdfastType, lastEventID
    case secFetchSite, requestID, idempotencyKey, acceptEncoding, forwardedFor
    case contentEncoding, earlyHeaders, accessControlRequestMethod

    /// Whether it is about one client, or one request: two requests that have the other variables in common may well
    /// differ in it.
    var isParticular: Bool {
        switch self {
        case .remoteAddress, .forwardedFor, .via, .forwarded, .cookie, .authorization, .user,
            .remoteUser, .publisher, .requestID, .uniqueID:
            true
        default: false
        }
    }

    /// Whether that may be so of a part of its value.
    var isDivided: Bool { self == .requestURI || self == .queryString }

    /// Nil for a variable that means nothing here.
    init?(_ name: UnsafeRawBufferPointer) {
        let variable: CGIVariable? =
            switch name.count {
            case 5: unsafe name.spells("HTTPS") ? .https : nil
            case 8:
                unsafe name.spells("HTTP_TTL")
                    ? .timeToLive : name.spells("HTTP_VIA") ? .via : nil
            case 9:
                unsafe name.spells("HTTP_HOST")
                    ? .host
                    : name.spells("PATH_INFO")
                        ? .pathInfo : name.spells("UNIQUE_ID") ? .uniqueID : nil
            case 10: unsafe name.spells("HTTP_TOPIC") ? .topic : nil
            case 11: unsafe Self.ofElevenBytes(name)
            case 12:
                unsafe name.spells("CONTENT_TYPE")
                    ? .contentType : name.spells("QUERY_STRING") ? .queryString : nil
            case 13:
                unsafe name.spells("HOLDFAST_BASE")
                    ? .base
                    : name.spells("HOLDFAST_READ")
                        ? .read : name.spells("HOLDFAST_USER") ? .user : nil
            case 14: unsafe Self.ofFourteenBytes(name)
            case 15: unsafe name.spells("SERVER_SOFTWARE") ? .serverSoftware : nil
            default: unsafe Self.ofLongName(name)
            }
        guard let variable else { return nil }
        self = variable
    }

    private static func ofElevenBytes(_ name: UnsafeRawBufferPointer) -> CGIVariable? {
        if unsafe name.spells("REQUEST_URI") { return .requestURI }
        if unsafe name.spells("REMOTE_ADDR") { return .remoteAddress }
        if unsafe name.spells("HTTP_ACCEPT") { return .accept }
        if unsafe name.spells("SCRIPT_NAME") { return .scriptName }
        if unsafe name.spells("HTTP_ORIGIN") { return .origin }
        if unsafe name.spells("HTTP_COOKIE") { return .cookie }
        if unsafe name.spells("HTTP_PREFER") { return .prefer }
        if unsafe name.spells("REMOTE_USER") { return .remoteUser }
        return nil
    }

    private static func ofFourteenBytes(_ name: UnsafeRawBufferPointer) -> CGIVariable? {
        if unsafe name.spells("REQUEST_METHOD") { return .method }
        if unsafe name.spells("REQUEST_SCHEME") { return .scheme }
        if unsafe name.spells("CONTENT_LENGTH") { return .contentLength }
        if unsafe name.spells("HOLDFAST_WRITE") { return .write }
        if unsafe name.spells("HOLDFAST_PROBE") { return .probe }
        if unsafe name.spells("HTTP_FORWARDED") { return .forwarded }
        return nil
    }

    private static func ofLongName(_ name: UnsafeRawBufferPointer) -> CGIVariable? {
        switch name.count {
        case 17:
            if unsafe name.spells("HOLDFAST_OPERATOR") { return .operator }
            if unsafe name.spells("HTTP_CONTENT_TYPE") { return .ownContentType }
        case 18:
            if unsafe name.spells("HTTP_IF_NONE_MATCH") { return .ifNoneMatch }
            if unsafe name.spells("HTTP_AUTHORIZATION") { return .authorization }
            if unsafe name.spells("HOLDFAST_PUBLISHER") { return .publisher }
            if unsafe name.spells("HTTP_HOLDFAST_TYPE") { return .holdfastType }
            if unsafe name.spells("HTTP_LAST_EVENT_ID") { return .lastEventID }
        case 19:
            if unsafe name.spells("HTTP_SEC_FETCH_SITE") { return .secFetchSite }
            if unsafe name.spells("HOLDFAST_REQUEST_ID") { return .requestID }
        case 20:
            if unsafe name.spells("HTTP_IDEMPOTENCY_KEY") { return .idempotencyKey }
            if unsafe name.spells("HTTP_ACCEPT_ENCODING") { return .acceptEncoding }
            if unsafe name.spells("HTTP_X_FORWARDED_FOR") { return .forwardedFor }
        case 21: if unsafe name.spells("HTTP_CONTENT_ENCODING") { return .contentEncoding }
        case 22: if unsafe name.spells("HOLDFAST_EARLY_HEADERS") { return .earlyHeaders }
        case 34:
            if unsafe name.spells("HTTP_ACCESS_CONTROL_REQUEST_METHOD") {
                return .accessControlRequestMethod
            }
        default: break
        }
        return nil
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these are the bytes of `text`, which has as many.
    @inline(__always)
    fileprivate func spells(_ text: StaticString) -> Bool {
        let text = unsafe UnsafeRawPointer(text.utf8Start)
        var at = 0
        // Eight at a time.
        while at &+ 8 <= count {
            let mine = unsafe loadUnaligned(fromByteOffset: at, as: UInt64.self)
            let theirs = unsafe text.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            if mine != theirs { return false }
            at &+= 8
        }
        while at < count {
            let theirs = unsafe text.load(fromByteOffset: at, as: UInt8.self)
            if unsafe self[at] != theirs { return false }
            at &+= 1
        }
        return true
    }
}
