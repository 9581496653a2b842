extension [UInt8] {
    /// RFC 4648 §4, with padding.
    package mutating func append(base64 source: Span<UInt8>) {
        let alphabet: StaticString =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        var at = 0
        while at < source.count {
            let rest = source.count - at
            let group =
                UInt32(source[at]) << 16 | (rest > 1 ? UInt32(source[at + 1]) << 8 : 0)
                | (rest > 2 ? UInt32(source[at + 2]) : 0)
            for place in 0..<4 {
                let digit = Int(group >> UInt32(18 - 6 * place) & 63)
                // The six bits are below 64, the alphabet's length.
                append(place <= rest ? unsafe alphabet.utf8Start[digit] : UInt8(ascii: "="))
            }
            at += 3
        }
    }
}
