package import Channels
internal import Text

/// A link that opens its channels until it expires, signed by a program that knows the key.
///
///     …/push/?channel=user/42&expires=1767225600&signature=HEX
///
/// The signed text is the query before any escaping, in this order, without parameters that are absent:
///
///     channel=A,B&expires=SECONDS&rights=read,publish&user=NAME
///
/// No name of a channel has a comma or `&`, and the user comes last, so the text has one meaning. In the link itself the
/// order does not matter, and `since`, `wait`, `subscriber` and all others may be added: they give no right.
///
/// Under a key with an audience, the text begins with `audience=AUDIENCE&`, which is not part of the link: so a service
/// with the same secret and another audience, or none, does not accept it.
package struct SignedLink: Equatable, Sendable {
    /// The channels that the request names, in its order.
    package var channels: [ChannelName]
    /// Seconds since 1970, in decimal digits.
    package var expires: String
    /// `read` (also if absent), `publish`, or both with a comma.
    package var rights: String?
    package var user: String?

    package init(
        channels: [ChannelName],
        expires: String,
        rights: String? = nil,
        user: String? = nil
    ) {
        (self.channels, self.expires, self.rights, self.user) = (channels, expires, rights, user)
    }

    /// The signed text.
    ///
    /// - Parameter audience: the key's.
    package func text(audience: String?) -> [UInt8] {
        var text: [UInt8] = []
        if let audience {
            text.append("audience=")
            text.append(text: audience)
            text.append("&")
        }
        text.append("channel=")
        for (place, channel) in channels.enumerated() {
            if place > 0 { text.append(UInt8(ascii: ",")) }
            text.append(text: channel.text)
        }
        text.append("&expires=")
        text.append(text: expires)
        if let rights {
            text.append("&rights=")
            text.append(text: rights)
        }
        if let user {
            text.append("&user=")
            text.append(text: user)
        }
        return text
    }

    /// The query of the link, escaped.
    package func query(keyName: String?, signature: String) -> String {
        var fields = channels.map { ("channel", $0.text) } + [("expires", expires)]
        if let rights { fields.append(("rights", rights)) }
        if let user { fields.append(("user", user)) }
        if let keyName { fields.append(("key", keyName)) }
        fields.append(("signature", signature))
        return fields.map { $0.0 + "=" + Self.escaped($0.1) }.joined(separator: "&")
    }

    /// Without the characters that have a meaning in a query.
    private static func escaped(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                bytes.append(byte)
            case _ where "-._~/,:@".utf8.contains(byte): bytes.append(byte)
            default:
                bytes.append(UInt8(ascii: "%"))
                bytes.append(UInt8(hexadecimalDigit: byte >> 4))
                bytes.append(UInt8(hexadecimalDigit: byte & 15))
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    struct Terms {
        /// Milliseconds since 1970.
        let expires: Int64
        let mayRead: Bool
        let mayPublish: Bool
    }

    func terms() throws(Refusal) -> Terms {
        guard (1...12).contains(expires.utf8.count),
            expires.utf8.allSatisfy({ $0.decimalValue != nil }), let seconds = Int64(expires)
        else { throw .malformedLink("'expires' must be a time in seconds since 1970") }
        switch rights {
        case nil, "read":
            return Terms(expires: seconds * 1000, mayRead: true, mayPublish: false)
        case "publish":
            return Terms(expires: seconds * 1000, mayRead: false, mayPublish: true)
        case "read,publish", "publish,read":
            return Terms(expires: seconds * 1000, mayRead: true, mayPublish: true)
        default:
            throw .malformedLink("'rights' must be 'read', 'publish' or 'read,publish'")
        }
    }

    /// - Returns: 32 bytes, or nil.
    static func bytes(ofSignature text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for at in stride(from: 0, to: 64, by: 2) {
            guard let high = digits[at].hexadecimalValue, let low = digits[at + 1].hexadecimalValue
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    static func text(ofSignature bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for byte in bytes {
            text.append(UInt8(hexadecimalDigit: byte >> 4))
            text.append(UInt8(hexadecimalDigit: byte & 15))
        }
        return String(decoding: text, as: UTF8.self)
    }
}
