internal import Text

/// Takes the bytes of a bus client apart, one command at a time: lines, and the bodies that `put` announces.
///
/// ```
/// publish CHANNEL TEXT⏎      put CHANNEL LENGTH OPTION=VALUE …⏎ LENGTH bytes      subscribe CHANNEL …⏎
/// ```
/// Lines end with LF or CR LF and count from 1; bodies and what stands in them do not count. What is not needed for the
/// command that comes next is not kept beyond the bounds given: a line that is too long, a body that is too large and
/// one whose line is refused are dropped as they come, and the next line is read. Pure.
package struct BusReader: Sendable {
    /// What stands in front, complete.
    package enum Piece: Equatable, Sendable {
        /// A line without its end, not empty, and the body of a `put`.
        case command(line: Int, [UInt8], body: [UInt8]?)
        /// Something that could not be taken; the next line is read.
        case refused(line: Int, Refusal)
        /// A `put` whose length can't be read, so that nobody knows where the next line begins.
        case lost(line: Int)
    }

    package enum Refusal: Equatable, Sendable {
        case lineTooLong, bodyTooLarge
        /// A `put` whose line says enough to refuse it.
        case announced(Problem)
        /// The peer ended in the middle of it.
        case unfinished
    }

    private enum State: Sendable {
        case line
        /// Up to the next line end.
        case skippingLine
        /// So many bytes belong to the line before.
        case body(line: Int, [UInt8], count: Int)
        case skippingBody(line: Int, left: Int, Refusal)
    }

    private var state = State.line
    private var buffer = ByteQueue()
    private var line = 0

    package init() {}

    package mutating func receive(_ bytes: UnsafeRawBufferPointer) {
        unsafe buffer.append(bytes)
    }

    /// Bytes that are kept for a command that is not complete, or not asked for yet.
    package var byteCount: Int { buffer.count }

    /// The line of the command that has begun and not ended, once `next` has found that there is none complete.
    package var unfinishedLine: Int? {
        switch state {
        case .line: byteCount > 0 ? line + 1 : nil
        case .skippingLine: line
        case .body(let line, _, _), .skippingBody(let line, _, _): line
        }
    }

    /// The next command, nil while there is none.
    ///
    /// - Parameter judge: what is wrong with the line of a `put`, whose body is not kept then.
    package mutating func next(
        lineLimit: Int,
        bodyLimit: Int,
        judge: ([UInt8]) -> Problem? = { _ in nil }
    ) -> Piece? {
        while true {
            switch state {
            case .line:
                guard let text = takeLine() else {
                    guard byteCount > lineLimit else { return nil }
                    line += 1
                    buffer.drop(byteCount)
                    state = .skippingLine
                    return .refused(line: line, .lineTooLong)
                }
                line += 1
                if text.isEmpty { continue }
                guard text.count <= lineLimit else {
                    return .refused(line: line, .lineTooLong)
                }
                guard text.starts(with: "put".utf8),
                    text.count == 3 || text[3] == UInt8(ascii: " ")
                else {
                    return .command(line: line, text, body: nil)
                }
                guard let count = Self.announcedLength(text) else { return .lost(line: line) }
                if let problem = judge(text) {
                    state = .skippingBody(line: line, left: count, .announced(problem))
                } else if count > bodyLimit {
                    state = .skippingBody(line: line, left: count, .bodyTooLarge)
                } else {
                    state = .body(line: line, text, count: count)
                }
            case .skippingLine:
                guard takeLine() != nil else {
                    buffer.drop(byteCount)
                    return nil
                }
                state = .line
            case .body(let line, let text, let count):
                guard byteCount >= count else { return nil }
                let body = buffer.take(count)
                state = .line
                return .command(line: line, text, body: body)
            case .skippingBody(let line, let left, let refusal):
                let here = min(left, byteCount)
                buffer.drop(here)
                guard here == left else {
                    state = .skippingBody(line: line, left: left - here, refusal)
                    return nil
                }
                state = .line
                return .refused(line: line, refusal)
            }
        }
    }

    /// Nothing more comes, and what is complete has been asked for: what is left of a command, once.
    package mutating func end() -> Piece? {
        defer { buffer.drop(byteCount) }
        let state = self.state
        self.state = .skippingLine
        switch state {
        case .skippingLine: return nil
        case .line: return byteCount > 0 ? .refused(line: line + 1, .unfinished) : nil
        case .body(let line, _, _), .skippingBody(let line, _, _):
            return .refused(line: line, .unfinished)
        }
    }

    /// The line in front without its end.
    private mutating func takeLine() -> [UInt8]? {
        guard var line = buffer.takeLine() else { return nil }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return line
    }

    /// The third word of a `put` line; nil where it is no length, or one that no body could have.
    private static func announcedLength(_ text: [UInt8]) -> Int? {
        let words = text.split(separator: UInt8(ascii: " "))
        guard words.count >= 3 else { return nil }
        let length = String(decoding: words[2], as: UTF8.self).wholeNumber
        return length.flatMap { $0 < 999_999_999 ? $0 : nil }
    }
}
