/// One request as CGI variables (RFC 3875 §4.1): those that Holdfast looks at, and the body.
///
/// Filled by the FastCGI edge one variable at a time, without a dictionary. An empty variable counts as
/// absent, since servers pass those they have no value for; only an empty `QUERY_STRING` is kept, for it says
/// that there is no query. Header fields can only become `HTTP_…`, so no client can set a `HOLDFAST_…`.
package struct CGIRequest: Sendable {
    package private(set) var method: String?
    package private(set) var requestURI: String?
    package private(set) var queryString: String?
    package private(set) var scriptName: String?
    package private(set) var pathInfo: String?
    package private(set) var contentType: String?
    package private(set) var contentLength: String?
    package private(set) var contentEncoding: String?
    package private(set) var accept: String?
    package private(set) var prefer: String?
    package private(set) var ifNoneMatch: String?
    package private(set) var lastEventID: String?
    package private(set) var origin: String?
    package private(set) var host: String?
    package private(set) var https: String?
    package private(set) var scheme: String?
    package private(set) var secFetchSite: String?
    package private(set) var cookie: String?
    package private(set) var timeToLive: String?
    package private(set) var topic: String?
    package private(set) var idempotencyKey: String?
    package private(set) var holdfastType: String?
    package private(set) var accessControlRequestMethod: String?
    package private(set) var serverSoftware: String?
    package private(set) var remoteUser: String?
    /// `HOLDFAST_BASE`
    package private(set) var base: String?
    /// `HOLDFAST_READ`, patterns separated by blanks or commas.
    package private(set) var read: String?
    /// `HOLDFAST_WRITE`, likewise.
    package private(set) var write: String?
    /// `HOLDFAST_OPERATOR`
    package private(set) var `operator`: String?
    /// `HOLDFAST_PUBLISHER`
    package private(set) var publisher: String?
    /// `HOLDFAST_EARLY_HEADERS`
    package private(set) var earlyHeaders: String?
    /// `HOLDFAST_PROBE`
    package private(set) var probe: String?
    package private(set) var remoteAddress: String?
    /// A proxy has passed the request on, by one of the fields that tell of it.
    package private(set) var isForwarded = false
    /// The path or the query was not UTF-8.
    package private(set) var hasMalformedTarget = false

    package var body: [UInt8] = []
    /// The body was over the framing's limit and was not kept.
    package var bodyDropped = false
    /// The variables have come and the body has not: what it decides is `Intent.awaitBody`.
    package var awaitsBody = false

    /// Fewer bytes came than CONTENT_LENGTH says, so that the upload was cut off on its way. Where it is no number, as the
    /// -1 with which some servers pass a chunked body on, the end of STDIN is the truth.
    var isCutOff: Bool { !bodyDropped && (contentLength?.wholeNumber ?? 0) > body.count }

    package init() {}

    /// Takes one variable in; the last one of a name counts. What is not UTF-8 is repaired, and in path and
    /// query remembered.
    package mutating func set(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        switch name.count {
        case 5:
            if unsafe name.spells("HTTPS") { unsafe https = text(value) }
        case 8:
            if unsafe name.spells("HTTP_TTL") {
                unsafe timeToLive = text(value)
            } else if unsafe name.spells("HTTP_VIA") {
                unsafe isForwarded = isForwarded || !value.isEmpty
            }
        case 9:
            if unsafe name.spells("HTTP_HOST") {
                unsafe host = text(value)
            } else if unsafe name.spells("PATH_INFO") {
                unsafe pathInfo = targetText(value)
            }
        case 10:
            if unsafe name.spells("HTTP_TOPIC") { unsafe topic = text(value) }
        case 11: unsafe setElevenBytes(name, value)
        case 12:
            if unsafe name.spells("CONTENT_TYPE") {
                unsafe contentType = text(value)
            } else if unsafe name.spells("QUERY_STRING") {
                unsafe queryString = targetText(value) ?? ""
            }
        case 13:
            if unsafe name.spells("HOLDFAST_BASE") {
                unsafe base = text(value)
            } else if unsafe name.spells("HOLDFAST_READ") {
                unsafe read = text(value)
            }
        case 14:
            if unsafe name.spells("REQUEST_METHOD") {
                unsafe method = text(value)
            } else if unsafe name.spells("REQUEST_SCHEME") {
                unsafe scheme = text(value)
            } else if unsafe name.spells("CONTENT_LENGTH") {
                unsafe contentLength = text(value)
            } else if unsafe name.spells("HOLDFAST_WRITE") {
                unsafe write = text(value)
            } else if unsafe name.spells("HOLDFAST_PROBE") {
                unsafe probe = text(value)
            } else if unsafe name.spells("HTTP_FORWARDED") {
                unsafe isForwarded = isForwarded || !value.isEmpty
            }
        case 15:
            if unsafe name.spells("SERVER_SOFTWARE") { unsafe serverSoftware = text(value) }
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
            unsafe accept = text(value)
        } else if unsafe name.spells("SCRIPT_NAME") {
            unsafe scriptName = targetText(value)
        } else if unsafe name.spells("HTTP_ORIGIN") {
            unsafe origin = text(value)
        } else if unsafe name.spells("HTTP_COOKIE") {
            unsafe cookie = text(value)
        } else if unsafe name.spells("HTTP_PREFER") {
            unsafe prefer = text(value)
        } else if unsafe name.spells("REMOTE_USER") {
            unsafe remoteUser = text(value)
        } else if unsafe name.spells("REMOTE_ADDR") {
            unsafe remoteAddress = text(value)
        }
    }

    private mutating func setLongName(
        _ name: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer
    ) {
        switch name.count {
        case 17:
            if unsafe name.spells("HOLDFAST_OPERATOR") { unsafe `operator` = text(value) }
        case 18:
            if unsafe name.spells("HTTP_IF_NONE_MATCH") {
                unsafe ifNoneMatch = text(value)
            } else if unsafe name.spells("HOLDFAST_PUBLISHER") {
                unsafe publisher = text(value)
            } else if unsafe name.spells("HTTP_HOLDFAST_TYPE") {
                unsafe holdfastType = text(value)
            } else if unsafe name.spells("HTTP_LAST_EVENT_ID") {
                unsafe lastEventID = text(value)
            }
        case 19:
            if unsafe name.spells("HTTP_SEC_FETCH_SITE") { unsafe secFetchSite = text(value) }
        case 20:
            if unsafe name.spells("HTTP_IDEMPOTENCY_KEY") {
                unsafe idempotencyKey = text(value)
            } else if unsafe name.spells("HTTP_X_FORWARDED_FOR") {
                unsafe isForwarded = isForwarded || !value.isEmpty
            }
        case 21:
            if unsafe name.spells("HTTP_CONTENT_ENCODING") { unsafe contentEncoding = text(value) }
        case 22:
            if unsafe name.spells("HOLDFAST_EARLY_HEADERS") { unsafe earlyHeaders = text(value) }
        case 34:
            if unsafe name.spells("HTTP_ACCESS_CONTROL_REQUEST_METHOD") {
                unsafe accessControlRequestMethod = text(value)
            }
        default: break
        }
    }

    private func text(_ value: UnsafeRawBufferPointer) -> String? {
        unsafe value.isEmpty ? nil : String(decoding: value, as: UTF8.self)
    }

    private mutating func targetText(_ value: UnsafeRawBufferPointer) -> String? {
        if let text = unsafe String(validating: value, as: UTF8.self) {
            return text.isEmpty ? nil : text
        }
        hasMalformedTarget = true
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
