// Searching and replacing in texts, byte by byte. The `contains(_:)` and `replacing(_:with:)` that Swift has for texts come
// with the library of regular expressions, 1.3 MB in the program; Package.swift keeps it out.

extension StringProtocol {
    /// Whether the bytes of `part` occur in the text.
    package func includes(_ part: String) -> Bool {
        Array(utf8).includes(Array(part.utf8))
    }

    /// The text with the occurrences of `part`, which is not empty, replaced.
    ///
    /// - Parameter limit: the number of occurrences that are replaced, from the beginning.
    package func replacing(part: String, with other: String, atMost limit: Int = .max) -> String {
        let (source, part) = (Array(utf8), Array(part.utf8))
        var result: [UInt8] = []
        var (at, count) = (0, 0)
        while count < limit, let place = source.place(of: part, from: at) {
            result += source[at..<place]
            result += other.utf8
            at = place + part.count
            count += 1
        }
        return String(decoding: result + source[at...], as: UTF8.self)
    }
}

extension [UInt8] {
    /// Whether these bytes occur in it, one after the other.
    package func includes(_ part: [UInt8]) -> Bool { place(of: part, from: 0) != nil }

    /// Where these bytes begin for the first time, from this place on.
    fileprivate func place(of part: [UInt8], from start: Int) -> Int? {
        guard part.count <= count - start else { return nil }
        return (start...count - part.count).first { self[$0...].starts(with: part) }
    }
}

extension String {
    /// 16 random hexadecimal digits, from the system's generator.
    package static func randomName() -> String {
        var generator = SystemRandomNumberGenerator()
        let digits = String(generator.next() as UInt64, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
