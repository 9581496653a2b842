// The meaning of bytes as text. These leaf functions are inlined into other modules: they are called for every byte of
// a request, and package access alone would make each a call.

extension UInt8 {
    /// Space or tab, which RFC 9110 §5.6.3 allows around the elements of a header field.
    @inlinable
    package var isBlank: Bool { self == 0x20 || self == 0x09 }

    /// 0x21 to 0x7E.
    @inlinable
    package var isVisibleASCII: Bool { (0x21...0x7E).contains(self) }

    /// RFC 9110 §5.6.2
    @inlinable
    package var isTokenByte: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(self)
        }
    }

    /// The byte with a capital ASCII letter made lower-case.
    @inlinable
    package var lowercased: UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self
    }

    /// The value of a decimal digit, or nil.
    @inlinable
    package var decimalValue: UInt8? {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) ? self - UInt8(ascii: "0") : nil
    }

    /// The value of a hexadecimal digit of either case, or nil.
    @inlinable
    package var hexadecimalValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The lower-case digit of a value from 0 to 15.
    @inlinable
    package init(hexadecimalDigit value: UInt8) {
        self = value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}

extension String {
    /// The number if the text consists of digits. Larger numbers count as 999999999, which is above every bound in use.
    package var wholeNumber: Int? {
        guard !utf8.isEmpty else { return nil }
        var value = 0
        for byte in utf8 {
            guard let digit = byte.decimalValue else { return nil }
            value = min(value * 10 + Int(digit), 999_999_999)
        }
        return value
    }

    /// Whether the texts are equal except for the case of ASCII letters; `other` is in lower case.
    package func equalsIgnoringCase(_ other: String) -> Bool {
        utf8.count == other.utf8.count && zip(utf8, other.utf8).allSatisfy { $0.lowercased == $1 }
    }
}
