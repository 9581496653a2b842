internal import Text

/// The name under which a request can be found again: in the log of the web server, in Holdfast's own at the level debug,
/// and in the answer if that is a problem.
///
/// In place, since each request has one: a `String` would be allocated for each.
package struct RequestName: Sendable {
    private var bytes = InlineArray<64, UInt8>(repeating: 0)
    private var count = 0

    package static let byteLimit = 64

    /// One that the web server has given; nil if it is empty, too long, or has other characters than ASCII letters, digits
    /// and `-._~+/=:@`. It is taken whole or not at all, and can stand in a log or an answer as it is.
    package init?(_ text: UnsafeRawBufferPointer) {
        guard unsafe !text.isEmpty && text.count <= Self.byteLimit else { return nil }
        for at in 0..<text.count {
            let byte = unsafe text[at]
            guard Self.mayContain(byte) else { return nil }
            append(byte)
        }
    }

    /// Holdfast's own: distinct among the requests of all processes.
    ///
    /// - Parameters:
    ///   - process: a random number that stands for the process.
    ///   - number: of the request, in the process.
    package init(process: UInt32, number: UInt64) {
        for shift in stride(from: 28, through: 0, by: -4) {
            append(
                UInt8(hexadecimalDigit: UInt8(truncatingIfNeeded: process >> UInt32(shift)) & 15)
            )
        }
        append(UInt8(ascii: "-"))
        var divisor: UInt64 = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }

    private mutating func append(_ byte: UInt8) {
        bytes[count] = byte
        count += 1
    }

    private static func mayContain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._~+/=:@".utf8.contains(byte)
        }
    }

    /// For the log and for answers; allocates.
    package var utf8: [UInt8] { (0..<count).map { bytes[$0] } }
    package var text: String { String(decoding: utf8, as: UTF8.self) }
}
