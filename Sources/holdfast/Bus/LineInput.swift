internal import ArgumentParser
internal import Text

/// Standard input, line by line; each piece has all lines that have arrived, up to a bound.
///
/// The memory is bounded, and each byte is examined once: a line that is too long is dropped as it arrives.
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
    /// Whether lines of white space alone are skipped.
    private let skipsEmptyLines: Bool
    private var unread = ByteQueue()
    /// Whether everything up to the next line end belongs to a line that is too long.
    private var isSkipping = false
    private var hasEnded = false
    private var number = 0

    /// Bounds of a piece; a longer line forms its own piece.
    private static let lineCount = 64
    private static let byteCount = 49_152

    init(lineLimit: Int, skipsEmptyLines: Bool) {
        self.lineLimit = lineLimit
        self.skipsEmptyLines = skipsEmptyLines
    }

    /// Waits for the next piece; nil at the end.
    mutating func next() throws(ExitCode) -> Piece? {
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
            // Lines that have arrived before go first.
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

    /// Moves past the first line, whose length is given, or past the part of it that has arrived.
    private mutating func pass(_ length: Int?) {
        unread.drop(length.map { $0 + 1 } ?? unread.count)
    }

    private static func isWhite(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0D].contains(byte) }
}
