/// An HTTP/1.1 client that can be rude: it sends when told, reads when told, and leaves as told.
package final class HTTPClient {
    package let socket: StreamSocket
    private var unread: [UInt8] = []

    package init(port: UInt16) throws { socket = try StreamSocket(.tcp(port)) }

    package func send(
        _ method: String,
        _ target: String,
        _ fields: [String: String] = [:],
        body: [UInt8]? = nil
    ) throws {
        try socket.write(Self.request(method, target, fields, port: port, body: body))
    }

    package func get(_ target: String, _ fields: [String: String] = [:]) throws -> HTTPAnswer {
        try send("GET", target, fields)
        return try answer()
    }

    package func post(
        _ target: String,
        _ fields: [String: String] = [:],
        body: String
    ) throws -> HTTPAnswer {
        try send("POST", target, fields, body: Array(body.utf8))
        return try answer()
    }

    /// One request on a connection of its own.
    package static func exchange(
        _ method: String,
        _ target: String,
        _ fields: [String: String] = [:],
        body: String? = nil,
        port: UInt16
    ) throws -> HTTPAnswer {
        let client = try HTTPClient(port: port)
        try client.send(method, target, fields, body: body.map { Array($0.utf8) })
        return try client.answer(hasBody: method != "HEAD")
    }

    /// The head of the next answer; its body stays unread.
    package func head() throws -> HTTPAnswer {
        while true {
            if let head = HTTPHead(unread) {
                unread.removeFirst(head.byteCount)
                return try HTTPAnswer(head: head)
            }
            try readMore()
        }
    }

    /// The next answer, complete.
    package func answer(hasBody: Bool = true) throws -> HTTPAnswer {
        var answer = try head()
        if hasBody { answer.body = try body(after: answer) }
        return answer
    }

    /// What follows a head: RFC 9112 §6.3.
    package func body(after head: HTTPAnswer) throws -> [UInt8] {
        if head.status == 204 || head.status == 304 || head.status < 200 { return [] }
        if head["Transfer-Encoding"]?.lowercased() == "chunked" { return try chunks() }
        if let length = head["Content-Length"].flatMap({ Int($0) }) { return try take(length) }
        while true {
            let some = try socket.read()
            if some.isEmpty { break }
            unread += some
        }
        defer { unread = [] }
        return unread
    }

    /// Whether the server has ended the connection, with nothing unread.
    package func endsNow() throws -> Bool { try unread.isEmpty && socket.readNow() == [] }

    private var port: UInt16 { if case .tcp(let port) = socket.address { port } else { 0 } }

    private static func request(
        _ method: String,
        _ target: String,
        _ fields: [String: String],
        port: UInt16,
        body: [UInt8]?
    ) -> [UInt8] {
        var text = "\(method) \(target) HTTP/1.1\r\n"
        if fields["Host"] == nil { text += "Host: 127.0.0.1:\(port)\r\n" }
        for (name, value) in fields.sorted(by: { $0.key < $1.key }) {
            text += "\(name): \(value)\r\n"
        }
        if let body, fields["Transfer-Encoding"] == nil {
            text += "Content-Length: \(body.count)\r\n"
        }
        return Array("\(text)\r\n".utf8) + (body ?? [])
    }

    private func chunks() throws -> [UInt8] {
        var body: [UInt8] = []
        while true {
            guard let length = Int(try line(), radix: 16) else { throw HarnessError("bad chunk") }
            body += try take(length)
            let end = try line()
            guard end.isEmpty else { throw HarnessError("a chunk ends with \(end)") }
            if length == 0 { return body }
        }
    }

    private func line() throws -> String {
        while true {
            if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
                defer { unread.removeSubrange(...end) }
                return String(decoding: unread[..<end], as: UTF8.self)
                    .trimmingSuffix { $0 == "\r" }
            }
            try readMore()
        }
    }

    private func take(_ count: Int) throws -> [UInt8] {
        while unread.count < count { try readMore() }
        defer { unread.removeFirst(count) }
        return Array(unread[..<count])
    }

    private func readMore() throws {
        let some = try socket.read()
        guard !some.isEmpty else {
            throw HarnessError(
                "the connection ended in the middle of an answer, after "
                    + "'\(String(decoding: unread.prefix(200), as: UTF8.self))'"
            )
        }
        unread += some
    }
}

extension String {
    fileprivate func trimmingSuffix(while drop: (Character) -> Bool) -> String {
        var text = self
        while let last = text.last, drop(last) { text.removeLast() }
        return text
    }
}
