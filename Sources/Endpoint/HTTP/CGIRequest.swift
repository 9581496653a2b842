internal import Text

/// One request as CGI variables (RFC 3875 §4.1): those that Holdfast uses, and the body.
///
/// Filled by the FastCGI edge one variable at a time, without a dictionary. An empty variable counts as absent, because
/// servers pass those they have no value for; only an empty `QUERY_STRING` is kept, because it says that there is no
/// query. Header fields can only become `HTTP_…`, so no client can set a `HOLDFAST_…`.
///
/// Some servers pass a variable for each line of a repeated field. The lines form one list (RFC 9110 §5.3), and those
/// of a cookie one cookie (RFC 6265 §5.4); if the field cannot be a list, the result is refused like any malformed
/// value. Of other variables the last one counts.
package struct CGIRequest: Sendable {
    package private(set) var method: String?
    package private(set) var requestURI: String?
    package private(set) var queryString: String?
    package private(set) var scriptName: String?
    package private(set) var pathInfo: String?
    package private(set) var contentType: String?
    /// Whether the client itself sent a Content-Type, as far as the server also passes it on by the field's own name.
    package private(set) var hasOwnContentType = false
    package private(set) var contentLength: String?
    package private(set) var contentEncoding: String?
    package private(set) var accept: String?
    package private(set) var acceptEncoding: String?
    package private(set) var prefer: String?
    package private(set) var ifNoneMatch: String?
    package private(set) var lastEventID: String?
    package private(set) var origin: String?
    package private(set) var host: String?
    package private(set) var https: String?
    package private(set) var scheme: String?
    package private(set) var secFetchSite: String?
    package private(set) var cookie: String?
    package private(set) var authorization: String?
    package private(set) var timeToLive: String?
    package private(set) var topic: String?
    package private(set) var idempotencyKey: String?
    package private(set) var holdfastType: String?
    package private(set) var accessControlRequestMethod: String?
    package private(set) var serverSoftware: String?
    package private(set) var remoteUser: String?
    /// `HOLDFAST_REQUEST_ID`, or else `UNIQUE_ID`, which Apache's mod_unique_id sets.
    package private(set) var name: RequestName?
    private var hasOwnName = false
    /// `HOLDFAST_BASE`
    package private(set) var base: String?
    /// `HOLDFAST_READ`, patterns separated by blanks or commas.
    package private(set) var read: String?
    /// `HOLDFAST_WRITE`, in the same form.
    package private(set) var write: String?
    /// `HOLDFAST_OPERATOR`
    package private(set) var `operator`: String?
    /// `HOLDFAST_USER`
    package private(set) var user: String?
    /// `HOLDFAST_PUBLISHER`
    package private(set) var publisher: String?
    /// `HOLDFAST_EARLY_HEADERS`
    package private(set) var earlyHeaders: String?
    /// `HOLDFAST_PROBE`
    package private(set) var probe: String?
    package private(set) var remoteAddress: String?
    /// Whether there is a `Via` or `Forwarded`, which no server adds by itself.
    private var namesProxy = false
    private var forwardedFor: String?
    /// The values that are not UTF-8 where a repair would confuse two different values, or invent one that was never
    /// sent.
    private(set) var malformed: Malformed = []

    struct Malformed: OptionSet {
        let rawValue: UInt8
        static let target = Malformed(rawValue: 1)
        static let user = Malformed(rawValue: 2)
        static let remoteUser = Malformed(rawValue: 4)
        static let publisher = Malformed(rawValue: 8)
        static let type = Malformed(rawValue: 16)
    }

    /// What `TokenCheck` has found of the token with which it comes.
    package var token = TokenVerdict.none
    /// When it came.
    package var clock = Clock()

    package var body: [UInt8] = []
    /// The body exceeded the framing's limit and was dropped.
    package var bodyDropped = false
    /// The variables have arrived and the body has not: a request that depends on it is `Intent.awaitBody`.
    package var awaitsBody = false

    /// Whether fewer bytes arrived than CONTENT_LENGTH says: the upload was cut off on its way. If it is not a number,
    /// such as the -1 that some servers pass for a chunked body, the end of STDIN decides.
    var isCutOff: Bool { !bodyDropped && (contentLength?.wholeNumber ?? 0) > body.count }

    /// The type of the body, as far as the client declared it. Caddy declares a body to be a form if the client
    /// declared nothing, but passes the client's own declaration also by the field's own name. Other servers declare
    /// nothing in that case.
    var sentContentType: String? {
        guard let contentType, !hasOwnContentType, isByCaddy,
            MediaType(contentType)?.essence == MediaType.form
        else { return contentType }
        return nil
    }

    /// Whether a proxy passed the request to the web server, judged by the fields that indicate it.
    ///
    /// Caddy itself always adds the address of its client, so only another address, or several, reveal a proxy (one
    /// that Caddy does not trust is revealed only by `Via`, because Caddy drops the rest). HAProxy adds it if
    /// configured to, and then cannot be told from a proxy; probing until it has shown departures costs little.
    package var isForwarded: Bool {
        guard !namesProxy, isByCaddy, let forwardedFor, let remoteAddress else {
            return namesProxy || forwardedFor != nil
        }
        // The zone of a link-local address is left out, as Caddy does there.
        return forwardedFor != remoteAddress.prefix { $0 != "%" }
    }

    /// The path for the log: without the query, and bounded.
    package var tracedPath: String {
        let target = requestURI ?? scriptName.map { $0 + (pathInfo ?? "") } ?? ""
        return String(
            decoding: target.utf8.prefix(512).prefix { $0 != UInt8(ascii: "?") },
            as: UTF8.self
        )
    }

    private var isByCaddy: Bool { serverSoftware?.hasPrefix("Caddy") == true }

    package init() {}

    /// Adds one variable. What is not UTF-8 is repaired, and recorded where that matters.
    package mutating func set(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        switch name.count {
        case 5:
            if unsafe name.spells("HTTPS") { unsafe https = Self.text(value) }
        case 8:
            if unsafe name.spells("HTTP_TTL") {
                unsafe Self.add(value, to: &timeToLive)
            } else if unsafe name.spells("HTTP_VIA") {
                unsafe namesProxy = namesProxy || !value.isEmpty
            }
        case 9:
            if unsafe name.spells("HTTP_HOST") {
                unsafe Self.add(value, to: &host)
            } else if unsafe name.spells("PATH_INFO") {
                unsafe pathInfo = targetText(value)
            } else if unsafe name.spells("UNIQUE_ID"), !hasOwnName {
                unsafe self.name = RequestName(value)
            }
        case 10:
            if unsafe name.spells("HTTP_TOPIC") { unsafe Self.add(value, to: &topic) }
        case 11: unsafe setElevenBytes(name, value)
        case 12:
            if unsafe name.spells("CONTENT_TYPE") {
                unsafe contentType = Self.text(value)
            } else if unsafe name.spells("QUERY_STRING") {
                unsafe queryString = targetText(value) ?? ""
            }
        case 13:
            if unsafe name.spells("HOLDFAST_BASE") {
                unsafe base = Self.text(value)
            } else if unsafe name.spells("HOLDFAST_READ") {
                unsafe read = Self.text(value)
            } else if unsafe name.spells("HOLDFAST_USER") {
                unsafe user = text(value, or: .user)
            }
        case 14:
            if unsafe name.spells("REQUEST_METHOD") {
                unsafe method = Self.text(value)
            } else if unsafe name.spells("REQUEST_SCHEME") {
                unsafe scheme = Self.text(value)
            } else if unsafe name.spells("CONTENT_LENGTH") {
                unsafe contentLength = Self.text(value)
            } else if unsafe name.spells("HOLDFAST_WRITE") {
                unsafe write = Self.text(value)
            } else if unsafe name.spells("HOLDFAST_PROBE") {
                unsafe probe = Self.text(value)
            } else if unsafe name.spells("HTTP_FORWARDED") {
                unsafe namesProxy = namesProxy || !value.isEmpty
            }
        case 15:
            if unsafe name.spells("SERVER_SOFTWARE") { unsafe serverSoftware = Self.text(value) }
        default: unsafe setLongName(name, value)
        }
    }

    private mutating func setElevenBytes(
        _ name: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer
    ) {
        if unsafe name.spells("REQUEST_URI") {
            unsafe requestURI = targetText(value)
        } else if unsafe name.spells("HTTP_ACCEPT") {
            unsafe Self.add(value, to: &accept)
        } else if unsafe name.spells("SCRIPT_NAME") {
            unsafe scriptName = targetText(value)
        } else if unsafe name.spells("HTTP_ORIGIN") {
            unsafe Self.add(value, to: &origin)
        } else if unsafe name.spells("HTTP_COOKIE") {
            unsafe Self.add(value, to: &cookie, separator: "; ")
        } else if unsafe name.spells("HTTP_PREFER") {
            unsafe Self.add(value, to: &prefer)
        } else if unsafe name.spells("REMOTE_USER") {
            unsafe remoteUser = text(value, or: .remoteUser)
        } else if unsafe name.spells("REMOTE_ADDR") {
            unsafe remoteAddress = Self.text(value)
        }
    }

    private mutating func setLongName(
        _ name: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer
    ) {
        switch name.count {
        case 17:
            if unsafe name.spells("HOLDFAST_OPERATOR") {
                unsafe `operator` = Self.text(value)
            } else if unsafe name.spells("HTTP_CONTENT_TYPE") {
                unsafe hasOwnContentType = hasOwnContentType || !value.isEmpty
            }
        case 18:
            if unsafe name.spells("HTTP_IF_NONE_MATCH") {
                unsafe Self.add(value, to: &ifNoneMatch)
            } else if unsafe name.spells("HTTP_AUTHORIZATION") {
                unsafe Self.add(value, to: &authorization)
            } else if unsafe name.spells("HOLDFAST_PUBLISHER") {
                unsafe publisher = text(value, or: .publisher)
            } else if unsafe name.spells("HTTP_HOLDFAST_TYPE") {
                _ = unsafe text(value, or: .type)
                unsafe Self.add(value, to: &holdfastType)
            } else if unsafe name.spells("HTTP_LAST_EVENT_ID") {
                unsafe Self.add(value, to: &lastEventID)
            }
        case 19:
            if unsafe name.spells("HTTP_SEC_FETCH_SITE") {
                unsafe Self.add(value, to: &secFetchSite)
            } else if unsafe name.spells("HOLDFAST_REQUEST_ID") && !value.isEmpty {
                hasOwnName = true
                unsafe self.name = RequestName(value)
            }
        case 20:
            if unsafe name.spells("HTTP_IDEMPOTENCY_KEY") {
                unsafe Self.add(value, to: &idempotencyKey)
            } else if unsafe name.spells("HTTP_ACCEPT_ENCODING") {
                unsafe Self.add(value, to: &acceptEncoding)
            } else if unsafe name.spells("HTTP_X_FORWARDED_FOR") {
                unsafe Self.add(value, to: &forwardedFor)
            }
        case 21:
            if unsafe name.spells("HTTP_CONTENT_ENCODING") {
                unsafe Self.add(value, to: &contentEncoding)
            }
        case 22:
            if unsafe name.spells("HOLDFAST_EARLY_HEADERS") {
                unsafe earlyHeaders = Self.text(value)
            }
        case 34:
            if unsafe name.spells("HTTP_ACCESS_CONTROL_REQUEST_METHOD") {
                unsafe Self.add(value, to: &accessControlRequestMethod)
            }
        default: break
        }
    }

    private static func text(_ value: UnsafeRawBufferPointer) -> String? {
        unsafe value.isEmpty ? nil : String(decoding: value, as: UTF8.self)
    }

    /// Adds a line of a header field.
    private static func add(
        _ value: UnsafeRawBufferPointer,
        to field: inout String?,
        separator: String = ", "
    ) {
        guard let line = unsafe text(value) else { return }
        if field == nil { return field = line }
        field?.append(separator)
        field?.append(line)
    }

    private mutating func text(_ value: UnsafeRawBufferPointer, or flaw: Malformed) -> String? {
        if unsafe String(utf8: value) == nil { malformed.insert(flaw) }
        return unsafe Self.text(value)
    }

    private mutating func targetText(_ value: UnsafeRawBufferPointer) -> String? {
        if let text = unsafe String(utf8: value) {
            return text.isEmpty ? nil : text
        }
        malformed.insert(.target)
        return nil
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these are the bytes of `text`, which has as many.
    fileprivate func spells(_ text: StaticString) -> Bool {
        for at in 0..<count where unsafe self[at] != text.utf8Start[at] { return false }
        return true
    }
}
