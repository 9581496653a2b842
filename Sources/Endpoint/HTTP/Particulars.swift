internal import Text

/// The part of a request that belongs to one client, or to one time: its sender and address, and the body. One value,
/// so that nothing of it is left when the next request replaces it.
struct Particulars {
    private(set) var cookie: String?
    private(set) var authorization: String?
    private(set) var remoteUser: String?
    private(set) var user: String?
    private(set) var publisher: String?
    private(set) var remoteAddress: String?
    private(set) var name: RequestName?
    /// Nil unless they stand apart from the other parameters.
    var own: OwnParameters?
    /// Whether the name is HOLDFAST_REQUEST_ID.
    private var hasOwnName = false
    /// Whether there is a `Via` or `Forwarded`, which no server adds by itself.
    private var namesProxy = false
    private var forwardedFor: String?
    private(set) var malformed: CGIRequest.Malformed = []

    var token = TokenVerdict.none
    var clock = Clock()
    var body: [UInt8] = []
    var bodyDropped = false
    var awaitsBody = false

    /// Caddy itself always adds the address of its client, so only another address, or several, reveal a proxy (one
    /// that Caddy does not trust is revealed only by `Via`, because Caddy drops the rest). HAProxy adds the address if
    /// configured to, and then cannot be distinguished from a proxy; probing until it has shown departures costs
    /// little.
    func isForwarded(byCaddy isByCaddy: @autoclosure () -> Bool) -> Bool {
        if namesProxy { return true }
        guard let forwardedFor else { return false }
        guard let remoteAddress, isByCaddy() else { return true }
        // Without the zone of a link-local address, which Caddy omits in that field.
        return forwardedFor != remoteAddress.prefix { $0 != "%" }
    }

    /// Adds a variable for which `isParticular` is true.
    mutating func set(_ variable: CGIVariable, _ value: UnsafeRawBufferPointer) {
        switch variable {
        case .remoteAddress: unsafe remoteAddress = CGIRequest.text(value)
        case .forwardedFor: unsafe CGIRequest.add(value, to: &forwardedFor)
        case .via, .forwarded: namesProxy = unsafe namesProxy || !value.isEmpty
        case .cookie: unsafe CGIRequest.add(value, to: &cookie, separator: "; ")
        case .authorization: unsafe CGIRequest.add(value, to: &authorization)
        case .user: unsafe user = text(value, or: .user)
        case .remoteUser: unsafe remoteUser = text(value, or: .remoteUser)
        case .publisher: unsafe publisher = text(value, or: .publisher)
        case .requestID:
            guard unsafe !value.isEmpty else { return }
            hasOwnName = true
            unsafe name = RequestName(value)
        case .uniqueID:
            guard !hasOwnName else { return }
            unsafe name = RequestName(value)
        default: preconditionFailure("a common variable")
        }
    }

    private mutating func text(
        _ value: UnsafeRawBufferPointer,
        or flaw: CGIRequest.Malformed
    ) -> String? {
        if unsafe String(utf8: value) == nil { malformed.insert(flaw) }
        return unsafe CGIRequest.text(value)
    }
}
