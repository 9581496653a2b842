internal import Text

/// A signed token in compact form (RFC 7515 §3.1), split into its parts; nothing of it is verified yet, so only the
/// header is read.
///
/// ```
/// base64url(header) . base64url(payload) . base64url(signature)
/// ╰────────── signed text ─────────────╯
/// ```
struct Token {
    /// The members of the header that count. Others name places of keys, which a token must not choose.
    let algorithm: String
    let keyName: String?
    /// As it was sent; it is parsed only after the signature is verified.
    private let payload: ArraySlice<UInt8>
    let signed: [UInt8]
    let signature: [UInt8]

    /// Larger ones do not fit into a header field of every web server anyway.
    static let byteLimit = 4096

    init(_ text: [UInt8]) throws(Refusal) {
        guard text.count <= Self.byteLimit else { throw .tokenTooLarge }
        let parts = text.split(
            separator: UInt8(ascii: "."),
            maxSplits: 3,
            omittingEmptySubsequences: false
        )
        guard parts.count == 3 else {
            throw .malformedToken("does not have three parts with dots between them")
        }
        guard let header = Base64URL.decoded(parts[0]), let signature = Base64URL.decoded(parts[2])
        else { throw Self.notBase64URL }
        let members = try JSONObject(header, "header")
        guard members["crit"] == nil else { throw .criticalHeader }
        guard let algorithm = members["alg"]?.string else {
            throw .malformedToken("has no 'alg' in its header")
        }
        if let name = members["kid"] {
            guard let text = name.string else {
                throw .malformedToken("has a 'kid' that is not a string")
            }
            keyName = text
        } else {
            keyName = nil
        }
        self.algorithm = algorithm
        payload = parts[1]
        self.signature = signature
        signed = Array(text[..<parts[1].endIndex])
    }

    /// Its claims; to be called after the signature is verified.
    func claims() throws(Refusal) -> Claims {
        guard let payload = Base64URL.decoded(payload) else { throw Self.notBase64URL }
        return try Claims(payload)
    }

    private static let notBase64URL = Refusal.malformedToken("is not base64url without padding")
}
