/// An answer, whichever way it came.
package struct HTTPAnswer {
    package var status: Int
    package var fields: [(name: String, value: String)] = []
    package var body: [UInt8] = []

    /// The first field of this name, in whatever case.
    package subscript(field: String) -> String? {
        fields.first { $0.name.lowercased() == field.lowercased() }?.value
    }

    package var text: String { String(decoding: body, as: UTF8.self) }

    package var json: JSON { get throws { try JSON(body) } }

    /// A CGI document (RFC 3875 §6): fields, of which Status is one, an empty line, the body.
    package init(document: [UInt8]) throws {
        guard let head = HTTPHead(document) else {
            throw HarnessError(
                "no CGI document: \(String(decoding: document.prefix(500), as: UTF8.self))"
            )
        }
        fields = Self.fields(of: head.lines)
        body = Array(document[head.byteCount...])
        status = 200
        if let line = self["Status"] {
            guard let code = Int(line.prefix(3)) else { throw HarnessError("bad status: \(line)") }
            status = code
        }
    }

    /// A status line, fields and the rest, as `curl -i` prints it.
    package init(message: [UInt8]) throws {
        guard let head = HTTPHead(message) else {
            throw HarnessError("no answer: \(String(decoding: message.prefix(500), as: UTF8.self))")
        }
        self = try HTTPAnswer(head: head)
        body = Array(message[head.byteCount...])
    }

    /// A status line and fields, without the body.
    init(head: HTTPHead) throws {
        let words = head.lines.first?.split(separator: " ", maxSplits: 2) ?? []
        guard words.count >= 2, words[0].hasPrefix("HTTP/"), let code = Int(words[1]) else {
            throw HarnessError("no status line: \(head.lines.first ?? "")")
        }
        status = code
        fields = Self.fields(of: head.lines.dropFirst())
    }

    private static func fields(of lines: some Sequence<String>) -> [(name: String, value: String)] {
        lines.compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            return (String(line[..<colon]), String(value))
        }
    }
}

/// The lines before the empty line, and how many bytes they and it have.
struct HTTPHead {
    let lines: [String]
    let byteCount: Int

    /// Nil while the empty line has not come.
    init?(_ bytes: [UInt8]) {
        let end = Array("\r\n\r\n".utf8)
        guard bytes.count >= end.count,
            let at = (0...bytes.count - end.count).first(where: {
                bytes[$0] == end[0] && Array(bytes[$0..<$0 + end.count]) == end
            })
        else { return nil }
        lines = String(decoding: bytes[..<at], as: UTF8.self).split(separator: "\r\n").map(
            String.init
        )
        byteCount = at + end.count
    }
}
