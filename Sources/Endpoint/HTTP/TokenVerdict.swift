package import Identity

/// What was found of the token with which a request comes.
package enum TokenVerdict: Equatable, Sendable {
    /// There is none.
    case none
    case good(Visa, TokenSource)
    case bad(Refusal, TokenSource)
}

extension Refusal {
    /// Whether it stands whatever else lets the request in. A page that sends an expired token must get a new one, not
    /// go on anonymously or as the user that a cookie names; any other token may be meant for the web server, or for an
    /// earlier owner of this key.
    func isFinal(_ source: TokenSource) -> Bool {
        source == .sent && (self == .expired || self == .notYetValid)
    }
}
