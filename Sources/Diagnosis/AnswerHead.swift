/// The status line and header fields of an answer, as curl prints them.
package struct AnswerHead: Equatable, Sendable {
    /// `1.1`, `2`
    package let version: String
    package let status: Int
    /// In their order, with names in lower case.
    package let fields: [(name: String, value: String)]

    package init?(_ text: some StringProtocol) {
        let lines = text.split(whereSeparator: \.isNewline)
        guard let first = lines.first, first.hasPrefix("HTTP/") else { return nil }
        let words = first.dropFirst(5).split(separator: " ")
        guard words.count > 1, let status = Int(words[1]) else { return nil }
        self.status = status
        version = String(words[0])
        fields = lines.dropFirst().compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            return (line[..<colon].lowercased(), String(value))
        }
    }

    package subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

    package func all(_ name: String) -> [String] {
        fields.filter { $0.name == name }.map(\.value)
    }

    /// The longest hold that the server grants, if the answer gives it (RFC 7240).
    package var grantedWaitSeconds: Int? {
        self["preference-applied"].flatMap { value in
            let parts = value.split(separator: "=")
            return parts.first == "wait" && parts.count == 2 ? Int(parts[1]) : nil
        }
    }

    package static func == (left: AnswerHead, right: AnswerHead) -> Bool {
        left.version == right.version && left.status == right.status
            && left.fields.elementsEqual(right.fields, by: ==)
    }
}

/// Splits what curl prints, heads followed by the body; interim heads (1xx) are skipped.
package struct AnswerBytes: Sendable {
    package private(set) var head: AnswerHead?
    package private(set) var body: [UInt8] = []
    private var unread: [UInt8] = []

    package init() {}

    package mutating func take(_ bytes: some Collection<UInt8>) {
        guard head == nil else { return body.append(contentsOf: bytes) }
        unread.append(contentsOf: bytes)
        while head == nil, let end = endOfHead {
            let found = AnswerHead(String(decoding: unread[..<end], as: UTF8.self))
            unread.removeFirst(end)
            guard let found, found.status >= 200 else { continue }
            head = found
            body = unread
            unread = []
        }
    }

    /// The index after the empty line.
    private var endOfHead: Int? {
        let mark: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A]
        guard unread.count >= mark.count else { return nil }
        return (0...(unread.count - mark.count)).first { unread[$0..<($0 + 4)].elementsEqual(mark) }
            .map { $0 + 4 }
    }
}
