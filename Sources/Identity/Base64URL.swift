internal import Text

/// base64url without padding (RFC 4648 §5, RFC 7515 §2), only in canonical form.
enum Base64URL {
    /// Nil for a character outside the alphabet, padding, an impossible length, and bits beyond the last byte that are
    /// not zero: otherwise, a token could be written in several ways.
    static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        let last = (UInt8(ascii: "-"), UInt8(ascii: "_"))
        guard let decoded = [UInt8].ofBase64(text, last: last), decoded.rest == 0 else {
            return nil
        }
        return decoded.bytes
    }
}
