internal import Text

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
    private var unread = ByteQueue()
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
            let bytes = try StandardInput.next()
            unread.append(bytes)
            hasEnded = bytes.isEmpty
        }
    }

    private mutating func take() -> Piece? {
        var lines: [Line] = []
        var bytes = 0
        while lines.count < Self.lineCount {
            let complete = unread.lineLength()
            let length = complete ?? unread.count
            if isSkipping {
                pass(complete)
                if complete == nil { break }
                isSkipping = false
                continue
            }
            // What has come already goes first.
            let isLast = length > lineLimit || bytes + length > Self.byteCount
            if isLast, !lines.isEmpty { break }
            if length > lineLimit {
                number += 1
                isSkipping = complete == nil
                pass(complete)
                return .tooLong(number: number)
            }
            // The last line may lack its end.
            guard complete != nil || hasEnded && length > 0 else { break }
            let text = Array(unread.prefix(length))
            number += 1
            pass(complete)
            if skipsEmptyLines, text.allSatisfy(Self.isWhite) { continue }
            bytes += length + 1
            lines.append(Line(number: number, text: text))
        }
        return lines.isEmpty ? nil : .lines(lines)
    }

    /// Goes behind the line in front, which has so many bytes, or behind what has come of it.
    private mutating func pass(_ length: Int?) {
        unread.drop(length.map { $0 + 1 } ?? unread.count)
    }

    private static func isWhite(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0D].contains(byte) }
}
