internal import Text

/// Parses the bytes of a bus client, one command at a time: lines, and the bodies that `put` announces.
///
/// ```
/// publish CHANNEL TEXT⏎      put CHANNEL LENGTH OPTION=VALUE …⏎ LENGTH bytes      subscribe CHANNEL …⏎
/// ```
/// Lines end with LF or CR LF and count from 1; bodies do not count. The memory is bounded: a line that is too long, a
/// body that is too large, and one whose line is refused are dropped as they arrive, and the next line is read. Pure.
package struct BusReader: Sendable {
    /// The next complete piece.
    package enum Piece: Equatable, Sendable {
        /// A line without its end, not empty, and the body of a `put`.
        case command(line: Int, [UInt8], body: [UInt8]?)
        /// Something that was refused; reading continues with the next line.
        case refused(line: Int, Refusal)
        /// A `put` whose length is invalid, so that the start of the next line is unknown.
        case lost(line: Int)
        /// A record of FastCGI, which a web server that was given the wrong socket sends.
        case records(line: Int)
    }

    package enum Refusal: Equatable, Sendable {
        case lineTooLong, bodyTooLarge
        /// A `put` whose line is enough to refuse it.
        case announced(Problem)
        /// The peer closed before the end.
        case unfinished
    }

    private enum State: Sendable {
        case line
        /// Skips up to the next line end.
        case skippingLine
        /// Collects this many bytes, which belong to the line before.
        case body(line: Int, [UInt8], count: Int)
        /// The same many bytes are passed over; the line is kept for a process that takes over.
        case skippingBody(line: Int, [UInt8], left: Int, Refusal)
    }

    private var state = State.line
    private var buffer = ByteQueue()
    private var line = 0

    package init() {}

    package mutating func receive(_ bytes: UnsafeRawBufferPointer) {
        unsafe buffer.append(bytes)
    }

    /// Bytes stored for an incomplete command, or one that was not asked for yet.
    package var byteCount: Int { buffer.count }

    /// The line of the unfinished command, once `next` has returned nil.
    package var unfinishedLine: Int? {
        switch state {
        case .line: byteCount > 0 ? line + 1 : nil
        case .skippingLine: line
        case .body(let line, _, _), .skippingBody(let line, _, _, _): line
        }
    }

    /// The next command, or nil if none is complete.
    ///
    /// - Parameter judge: the problem with the line of a `put`, whose body is then not stored.
    package mutating func next(
        lineLimit: Int,
        bodyLimit: Int,
        judge: ([UInt8]) -> Problem? = { _ in nil }
    ) -> Piece? {
        while true {
            switch state {
            case .line:
                // The version, with which no command begins. A line that ends might never come.
                if buffer.first == 1 { return .records(line: line + 1) }
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
                    state = .skippingBody(line: line, text, left: count, .announced(problem))
                } else if count > bodyLimit {
                    state = .skippingBody(line: line, text, left: count, .bodyTooLarge)
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
            case .skippingBody(let line, let text, let left, let refusal):
                let here = min(left, byteCount)
                buffer.drop(here)
                guard here == left else {
                    state = .skippingBody(line: line, text, left: left - here, refusal)
                    return nil
                }
                state = .line
                return .refused(line: line, refusal)
            }
        }
    }

    /// Called when nothing more arrives and all complete commands have been taken: what is left of a command, once.
    package mutating func end() -> Piece? {
        defer { buffer.drop(byteCount) }
        let state = self.state
        self.state = .skippingLine
        switch state {
        case .skippingLine: return nil
        case .line: return byteCount > 0 ? .refused(line: line + 1, .unfinished) : nil
        case .body(let line, _, _), .skippingBody(let line, _, _, _):
            return .refused(line: line, .unfinished)
        }
    }

    // MARK: Handing over

    /// Everything that has come and is not done with, for another process.
    package var handed: Handed {
        var handed = Handed(line: line, bytes: Array(buffer.prefix(byteCount)))
        switch state {
        case .line: break
        case .skippingLine: handed.isSkippingLine = true
        case .body(let line, let text, _):
            // Read again from its line on.
            handed.line = line - 1
            handed.bytes = text + [UInt8(ascii: "\n")] + handed.bytes
        case .skippingBody(let line, let text, let left, let refusal):
            let isTooLarge = if case .bodyTooLarge = refusal { true } else { false }
            handed.skipped = .init(line: line, text: text, left: left, isTooLarge: isTooLarge)
        }
        return handed
    }

    package struct Handed: Sendable {
        /// The number of the last line that was read.
        package var line = 0
        package var bytes: [UInt8] = []
        package var isSkippingLine = false
        package var skipped: SkippedBody?

        package init(line: Int = 0, bytes: [UInt8] = []) {
            (self.line, self.bytes) = (line, bytes)
        }
    }

    /// A refused body of which so many bytes are still to come.
    package struct SkippedBody: Sendable {
        package let line: Int
        /// The line that announced it.
        package let text: [UInt8]
        package let left: Int
        package let isTooLarge: Bool

        package init(line: Int, text: [UInt8], left: Int, isTooLarge: Bool) {
            (self.line, self.text, self.left, self.isTooLarge) = (line, text, left, isTooLarge)
        }
    }

    /// - Parameter judge: as in `next`.
    package init(_ handed: Handed, judge: ([UInt8]) -> Problem?) {
        line = handed.line
        buffer.append(handed.bytes)
        if handed.isSkippingLine { state = .skippingLine }
        guard let skipped = handed.skipped else { return }
        let problem = skipped.isTooLarge ? nil : judge(skipped.text)
        state = .skippingBody(
            line: skipped.line,
            skipped.text,
            left: skipped.left,
            problem.map { .announced($0) } ?? .bodyTooLarge
        )
    }

    /// The first line, without its end.
    private mutating func takeLine() -> [UInt8]? {
        guard var line = buffer.takeLine() else { return nil }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return line
    }

    /// The third word of a `put` line; nil if it is not a length, or one that no body can have.
    private static func announcedLength(_ text: [UInt8]) -> Int? {
        let words = text.split(separator: UInt8(ascii: " "))
        guard words.count >= 3 else { return nil }
        let length = String(decoding: words[2], as: UTF8.self).wholeNumber
        return length.flatMap { $0 < 999_999_999 ? $0 : nil }
    }
}
