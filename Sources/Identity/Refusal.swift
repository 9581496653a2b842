/// Why a token or a signed link is not accepted.
package enum Refusal: Error, Equatable, Sendable {
    case tokenTooLarge
    /// Not the compact form of a signed token; the rest of the sentence.
    case malformedToken(String)
    /// Its header asks for an extension.
    case criticalHeader
    /// Not an algorithm that any key here has, or not that of the key it names.
    case wrongAlgorithm
    case unknownKey
    case wrongSignature
    /// A token or a link.
    case expired
    case notYetValid
    case wrongAudience
    /// A claim is missing or cannot be understood; the rest of the sentence.
    case unusableClaim(String)
    /// The parameters of a link; the rest of the sentence.
    case malformedLink(String)
    case unknownLinkKey
    case wrongLinkSignature

    /// The reason without its details.
    package enum Kind: Int, CaseIterable, Sendable {
        case tokenTooLarge, malformedToken, criticalHeader, wrongAlgorithm, unknownKey
        case wrongSignature, expired, notYetValid, wrongAudience, unusableClaim
        case malformedLink, unknownLinkKey, wrongLinkSignature

        /// For programs; never changes.
        package var code: StaticString {
            switch self {
            case .tokenTooLarge: "token_too_large"
            case .malformedToken: "token_malformed"
            case .criticalHeader: "token_critical"
            case .wrongAlgorithm: "token_algorithm"
            case .unknownKey: "token_unknown_key"
            case .wrongSignature: "token_signature"
            case .expired: "expired"
            case .notYetValid: "token_not_yet_valid"
            case .wrongAudience: "token_audience"
            case .unusableClaim: "token_claims"
            case .malformedLink: "link_malformed"
            case .unknownLinkKey: "link_unknown_key"
            case .wrongLinkSignature: "link_signature"
            }
        }
    }

    package var kind: Kind {
        switch self {
        case .tokenTooLarge: .tokenTooLarge
        case .malformedToken: .malformedToken
        case .criticalHeader: .criticalHeader
        case .wrongAlgorithm: .wrongAlgorithm
        case .unknownKey: .unknownKey
        case .wrongSignature: .wrongSignature
        case .expired: .expired
        case .notYetValid: .notYetValid
        case .wrongAudience: .wrongAudience
        case .unusableClaim: .unusableClaim
        case .malformedLink: .malformedLink
        case .unknownLinkKey: .unknownLinkKey
        case .wrongLinkSignature: .wrongLinkSignature
        }
    }

    /// For programs; never changes.
    package var code: StaticString { kind.code }

    /// For people. Repeats nothing of what was sent.
    package var sentence: String {
        switch self {
        case .tokenTooLarge:
            "The token is longer than \(Token.byteLimit) bytes."
        case .malformedToken(let wrong): "The token \(wrong)."
        case .criticalHeader:
            "The token's header has 'crit', and Holdfast knows no extension that a token could require."
        case .wrongAlgorithm:
            "The token's 'alg' is not the algorithm of a [key] section that could have signed it."
        case .unknownKey:
            "No [key] section has the name that the token's 'kid' gives, or none may sign a token that comes in a "
                + "cookie."
        case .wrongSignature: "The token's signature was not made with a key of this service."
        case .expired: "The token or link has expired; get a new one."
        case .notYetValid: "The token is not valid yet: its 'nbf' is in the future."
        case .wrongAudience:
            "The token is meant for another service: its 'aud' is not the 'audience' of the [key] section."
        case .unusableClaim(let wrong): "The token's \(wrong)."
        case .malformedLink(let wrong): "The signed link's \(wrong)."
        case .unknownLinkKey:
            "The signed link's 'key' is not the name of a [key] section with a shared secret."
        case .wrongLinkSignature:
            "The link's signature does not match its channels, 'expires', 'rights' and 'user'; each counts as it was "
                + "signed, and nothing may be added to them. Under a key with an audience, the audience is signed "
                + "before them."
        }
    }
}

/// How often each reason was given.
package struct RefusalCounts: Equatable, Sendable {
    private var counts = [UInt64](repeating: 0, count: Refusal.Kind.allCases.count)

    package init() {}

    package subscript(kind: Refusal.Kind) -> UInt64 {
        get { counts[kind.rawValue] }
        set { counts[kind.rawValue] = newValue }
    }

    package var total: UInt64 { counts.reduce(0, +) }
}
