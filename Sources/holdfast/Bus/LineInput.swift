/// Standard input, line by line, as many at a time as are there.
///
/// What is kept is bounded, and each byte is looked at once: a line that is too long is dropped as it comes.
struct LineInput {
    struct Line {
        /// Counted from 1.
        let number: Int
        /// Without its end.
        let text: [UInt8]
    }

    enum Piece {
        /// At least one.
        case lines([Line])
        case tooLong(number: Int)
    }

    private let lineLimit: Int
    /// Also those of nothing but white space.
    private let skipsEmptyLines: Bool
    private var unread: [UInt8] = []
    /// Where the next line begins in `unread`, and up to where it is known to have no end.
    private var start = 0
    private var looked = 0
    /// Up to the next line end all belongs to a line that is too long.
    private var isSkipping = false
    private var hasEnded = false
    private var number = 0

    /// Bounds of a piece; a longer line goes alone.
    private static let lineCount = 64
    private static let byteCount = 49_152

    init(lineLimit: Int, skipsEmptyLines: Bool) {
        self.lineLimit = lineLimit
        self.skipsEmptyLines = skipsEmptyLines
    }

    /// What is next, waited for; nil at the end.
    mutating func next() throws -> Piece? {
        while true {
            if let piece = take() { return piece }
            if hasEnded { return nil }
            unread.removeFirst(start)
            (start, looked) = (0, looked - start)
            let bytes = try StandardInput.next()
            unread += bytes
            hasEnded = bytes.isEmpty
        }
    }

    private mutating func take() -> Piece? {
        var lines: [Line] = []
        var bytes = 0
        while lines.count < Self.lineCount {
            let newline = unread[looked...].firstIndex(of: 0x0A)
            let end = newline ?? unread.count
            looked = end
            if isSkipping {
                pass(newline, end)
                if newline == nil { break }
                isSkipping = false
                continue
            }
            let length = end - start
            // What has come already goes first.
            let isLast = length > lineLimit || bytes + length > Self.byteCount
            if isLast, !lines.isEmpty { break }
            if length > lineLimit {
                number += 1
                isSkipping = newline == nil
                pass(newline, end)
                return .tooLong(number: number)
            }
            // The last line may lack its end.
            guard newline != nil || hasEnded && length > 0 else { break }
            let text = unread[start..<end]
            number += 1
            pass(newline, end)
            if skipsEmptyLines, text.allSatisfy(Self.isWhite) { continue }
            bytes += length + 1
            lines.append(Line(number: number, text: Array(text)))
        }
        return lines.isEmpty ? nil : .lines(lines)
    }

    /// Goes behind the line that ends there.
    private mutating func pass(_ newline: Int?, _ end: Int) {
        start = newline.map { $0 + 1 } ?? end
        looked = start
    }

    private static func isWhite(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0D].contains(byte) }
}
