package import Text

/// One request as CGI variables (RFC 3875 §4.1): those that Holdfast uses, and the body.
///
/// Filled by the FastCGI edge one variable at a time, without a dictionary. An empty variable counts as absent, because
/// servers pass those they have no value for; only an empty `QUERY_STRING` is kept, because it says that there is no
/// query. Header fields can only become `HTTP_…`, so no client can set a `HOLDFAST_…`.
///
/// Some servers pass a variable for each line of a repeated field. The lines form one list (RFC 9110 §5.3), and those
/// of a cookie one cookie (RFC 6265 §5.4); if the field cannot be a list, the result is refused like any malformed
/// value. Of other variables the last one counts.
///
/// What one client alone says stands apart, in `particulars`: thousands of requests may have the other variables in
/// common, and are then read into the same value, one after the other.
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
    package private(set) var timeToLive: String?
    package private(set) var topic: String?
    package private(set) var idempotencyKey: String?
    package private(set) var holdfastType: String?
    package private(set) var accessControlRequestMethod: String?
    package private(set) var serverSoftware: String?
    /// `HOLDFAST_BASE`
    package private(set) var base: String?
    /// `HOLDFAST_READ`, patterns separated by blanks or commas.
    package private(set) var read: String?
    /// `HOLDFAST_WRITE`, in the same form.
    package private(set) var write: String?
    /// `HOLDFAST_OPERATOR`
    package private(set) var `operator`: String?
    /// `HOLDFAST_EARLY_HEADERS`
    package private(set) var earlyHeaders: String?
    /// `HOLDFAST_PROBE`
    package private(set) var probe: String?

    /// What two requests with the same other variables need not have in common.
    private var particulars = Particulars()
    /// What the other variables say, if it has been read.
    private(set) var fields: ParsedFields?
    private var commonFlaws: Malformed = []

    struct Malformed: OptionSet {
        let rawValue: UInt8
        static let target = Malformed(rawValue: 1)
        static let user = Malformed(rawValue: 2)
        static let remoteUser = Malformed(rawValue: 4)
        static let publisher = Malformed(rawValue: 8)
        static let type = Malformed(rawValue: 16)
    }

    /// The values that are not UTF-8 where a repair would confuse two different values, or invent one that was never
    /// sent.
    var malformed: Malformed { commonFlaws.union(particulars.malformed) }

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

    var acceptance: Acceptance { fields?.acceptance ?? Acceptance(accept) }

    /// The `wait` of `Prefer`, in seconds.
    var preferredWait: Int? {
        if let fields { fields.preferredWait } else { Endpoint.preferredWait(prefer) }
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

    /// Whether a variable of this name is one of those that are used.
    package static func takes(_ name: UnsafeRawBufferPointer) -> Bool {
        unsafe CGIVariable(name) != nil
    }

    /// How the variable of this name is used.
    package static func use(of name: UnsafeRawBufferPointer) -> VariableUse {
        guard let variable = unsafe CGIVariable(name) else { return .unused }
        return variable.isDivided ? .divided : variable.isParticular ? .particular : .common
    }

    /// The next request has the same common variables: forgets everything else, and what it had in common with no
    /// other, such as its body, comes anew.
    package mutating func forgetParticulars() { particulars = Particulars() }

    /// All common variables are there: what they say is read once, for all requests that have them in common.
    package mutating func parseFields() {
        if fields == nil { fields = ParsedFields(self) }
    }

    /// Adds one variable. What is not UTF-8 is repaired, and recorded where that matters.
    package mutating func set(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        guard let variable = unsafe CGIVariable(name) else { return }
        if variable.isParticular { return unsafe particulars.set(variable, value) }
        fields = nil
        unsafe set(variable, value)
    }

    /// Adds one that is particular, or the part of one that is: once all common ones, and the rests, have been set. The
    /// last part of a variable counts, as its last rest does.
    package mutating func setParticular(
        _ name: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer
    ) {
        guard let variable = unsafe CGIVariable(name) else { return }
        switch variable {
        case .queryString: unsafe setOwn(value)
        // It counts where its rest does.
        case .requestURI: if queryString == nil { unsafe setOwn(value) }
        default: unsafe particulars.set(variable, value)
        }
    }

    private mutating func setOwn(_ part: UnsafeRawBufferPointer) {
        particulars.own =
            unsafe part.isEmpty ? nil : OwnParameters(Span<UInt8>(_unsafeBytes: part))
    }

    private mutating func set(_ variable: CGIVariable, _ value: UnsafeRawBufferPointer) {
        switch variable {
        case .https: unsafe https = Self.text(value)
        case .timeToLive: unsafe Self.add(value, to: &timeToLive)
        case .host: unsafe Self.add(value, to: &host)
        case .pathInfo: unsafe pathInfo = targetText(value)
        case .topic: unsafe Self.add(value, to: &topic)
        case .requestURI: unsafe requestURI = targetText(value)
        case .accept: unsafe Self.add(value, to: &accept)
        case .scriptName: unsafe scriptName = targetText(value)
        case .origin: unsafe Self.add(value, to: &origin)
        case .prefer: unsafe Self.add(value, to: &prefer)
        case .contentType: unsafe contentType = Self.text(value)
        case .queryString: unsafe queryString = targetText(value) ?? ""
        case .base: unsafe base = Self.text(value)
        case .read: unsafe read = Self.text(value)
        case .method: unsafe method = Self.text(value)
        case .scheme: unsafe scheme = Self.text(value)
        case .contentLength: unsafe contentLength = Self.text(value)
        case .write: unsafe write = Self.text(value)
        case .probe: unsafe probe = Self.text(value)
        case .serverSoftware: unsafe serverSoftware = Self.text(value)
        case .operator: unsafe `operator` = Self.text(value)
        case .ownContentType: hasOwnContentType = unsafe hasOwnContentType || !value.isEmpty
        case .ifNoneMatch: unsafe Self.add(value, to: &ifNoneMatch)
        case .holdfastType:
            if unsafe String(utf8: value) == nil { commonFlaws.insert(.type) }
            unsafe Self.add(value, to: &holdfastType)
        case .lastEventID: unsafe Self.add(value, to: &lastEventID)
        case .secFetchSite: unsafe Self.add(value, to: &secFetchSite)
        case .idempotencyKey: unsafe Self.add(value, to: &idempotencyKey)
        case .acceptEncoding: unsafe Self.add(value, to: &acceptEncoding)
        case .contentEncoding: unsafe Self.add(value, to: &contentEncoding)
        case .earlyHeaders: unsafe earlyHeaders = Self.text(value)
        case .accessControlRequestMethod:
            unsafe Self.add(value, to: &accessControlRequestMethod)
        case .via, .forwarded, .forwardedFor, .uniqueID, .requestID, .remoteAddress, .remoteUser,
            .user, .publisher, .cookie, .authorization:
            preconditionFailure("a particular")
        }
    }

    static func text(_ value: UnsafeRawBufferPointer) -> String? {
        unsafe value.isEmpty ? nil : String(decoding: value, as: UTF8.self)
    }

    /// Adds a line of a header field.
    static func add(
        _ value: UnsafeRawBufferPointer,
        to field: inout String?,
        separator: String = ", "
    ) {
        guard let line = unsafe text(value) else { return }
        if field == nil { return field = line }
        field?.append(separator)
        field?.append(line)
    }

    private mutating func targetText(_ value: UnsafeRawBufferPointer) -> String? {
        if let text = unsafe String(utf8: value) {
            return text.isEmpty ? nil : text
        }
        commonFlaws.insert(.target)
        return nil
    }
}

// MARK: Particulars

extension CGIRequest {
    /// The parameters that are the client's own, where they stand apart: the query is without them.
    var own: OwnParameters? { particulars.own }
    package var cookie: String? { particulars.cookie }
    package var authorization: String? { particulars.authorization }
    package var remoteUser: String? { particulars.remoteUser }
    /// `HOLDFAST_USER`
    package var user: String? { particulars.user }
    /// `HOLDFAST_PUBLISHER`
    package var publisher: String? { particulars.publisher }
    package var remoteAddress: String? { particulars.remoteAddress }
    /// `HOLDFAST_REQUEST_ID`, or else `UNIQUE_ID`, which Apache's mod_unique_id sets.
    package var name: RequestName? { particulars.name }

    /// Whether a proxy passed the request to the web server, judged by the fields that indicate it.
    package var isForwarded: Bool { particulars.isForwarded(byCaddy: isByCaddy) }

    /// What `TokenCheck` has found of the token with which it comes.
    package var token: TokenVerdict {
        get { particulars.token }
        set { particulars.token = newValue }
    }

    /// When it came.
    package var clock: Clock {
        get { particulars.clock }
        set { particulars.clock = newValue }
    }

    package var body: [UInt8] {
        get { particulars.body }
        set { particulars.body = newValue }
    }

    /// The body exceeded the framing's limit and was dropped.
    package var bodyDropped: Bool {
        get { particulars.bodyDropped }
        set { particulars.bodyDropped = newValue }
    }

    /// The variables have arrived and the body has not: a request that depends on it is `Intent.awaitBody`.
    package var awaitsBody: Bool {
        get { particulars.awaitsBody }
        set { particulars.awaitsBody = newValue }
    }
}
