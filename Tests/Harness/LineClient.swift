/// A client of the bus socket: lines out, a JSON object in each line back.
package final class LineClient {
    package let socket: StreamSocket
    private var unread: [UInt8] = []

    package init(_ path: String) throws { socket = try StreamSocket(.unix(path)) }

    /// Sends text as it is.
    package func send(_ text: String) throws { try socket.write(Array(text.utf8)) }

    package func send(_ bytes: [UInt8]) throws { try socket.write(bytes) }

    /// The next line; nil at the end of the stream.
    package func next() throws -> JSON? {
        while true {
            if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
                defer { unread.removeSubrange(...end) }
                return try JSON(Array(unread[..<end]))
            }
            let some = try socket.read()
            guard !some.isEmpty else {
                guard unread.isEmpty else { throw HarnessError("the stream ended in mid-line") }
                return nil
            }
            unread += some
        }
    }

    /// The next line of this kind; pings before it are passed over.
    @discardableResult
    package func next(_ kind: String) throws -> JSON {
        while true {
            guard let line = try next() else {
                throw HarnessError("the stream ended where '\(kind)' was expected")
            }
            if line["kind"].string == kind { return line }
            guard line["kind"] == "ping" else { throw HarnessError("not \(kind) but \(line)") }
        }
    }

    /// One command and its answer.
    package func ask(_ command: String) throws -> JSON {
        try send(command + "\n")
        guard let line = try next() else { throw HarnessError("no answer to '\(command)'") }
        return line
    }
}
