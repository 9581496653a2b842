/// One FastCGI record (FastCGI 1.0 §3.3), as the peer of the tests writes and reads it.
///
/// Written from the specification, and knowingly apart from the module under test: a mistake made in both would
/// not show.
package struct FastCGIRecord: Equatable, CustomStringConvertible {
    package static let begin: UInt8 = 1
    package static let abort: UInt8 = 2
    package static let end: UInt8 = 3
    package static let params: UInt8 = 4
    package static let stdin: UInt8 = 5
    package static let stdout: UInt8 = 6
    package static let stderr: UInt8 = 7
    package static let data: UInt8 = 8
    package static let getValues: UInt8 = 9
    package static let getValuesResult: UInt8 = 10
    package static let unknownType: UInt8 = 11

    package var version: UInt8 = 1
    package var type: UInt8
    package var id: UInt16
    package var content: [UInt8]
    package var paddingLength: UInt8

    package init(
        _ type: UInt8,
        id: UInt16,
        _ content: [UInt8] = [],
        padding: UInt8 = 0,
        version: UInt8 = 1
    ) {
        self.type = type
        self.id = id
        self.content = content
        self.version = version
        paddingLength = padding
    }

    package var description: String { "record of type \(type), id \(id), \(content.count) bytes" }

    /// Version, type, id (2, big-endian), content length (2), padding length, reserved; content; padding.
    package var bytes: [UInt8] {
        precondition(content.count <= 65_535, "a record's content has at most 65,535 bytes")
        return [
            version, type, UInt8(id >> 8), UInt8(id & 0xFF),
            UInt8(content.count >> 8), UInt8(content.count & 0xFF), paddingLength, 0,
        ] + content + [UInt8](repeating: 0, count: Int(paddingLength))
    }

    /// The record at the front of `bytes` and its whole length, or nil while it is incomplete.
    static func first(in bytes: [UInt8]) -> (record: FastCGIRecord, byteCount: Int)? {
        guard bytes.count >= 8 else { return nil }
        let length = Int(bytes[4]) << 8 | Int(bytes[5])
        let byteCount = 8 + length + Int(bytes[6])
        guard bytes.count >= byteCount else { return nil }
        let record = FastCGIRecord(
            bytes[1],
            id: UInt16(bytes[2]) << 8 | UInt16(bytes[3]),
            Array(bytes[8..<8 + length]),
            padding: bytes[6],
            version: bytes[0]
        )
        return (record, byteCount)
    }

    /// Role and flags (FastCGI 1.0 §5.1); role 1 is the responder, flag 1 keeps the connection.
    package static func begin(id: UInt16, keep: Bool, role: UInt16 = 1) -> FastCGIRecord {
        FastCGIRecord(
            begin,
            id: id,
            [UInt8(role >> 8), UInt8(role & 0xFF), keep ? 1 : 0, 0, 0, 0, 0, 0]
        )
    }

    /// Content as a stream: records of at most `pieces` bytes each, and the empty one.
    package static func stream(
        _ type: UInt8,
        id: UInt16,
        _ content: [UInt8],
        pieces: Int = 65_535
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: content.count, by: pieces) {
            let end = min(start + pieces, content.count)
            bytes += FastCGIRecord(type, id: id, Array(content[start..<end])).bytes
        }
        return bytes + FastCGIRecord(type, id: id).bytes
    }

    /// Name-value pairs (FastCGI 1.0 §3.4): lengths above 127 in four bytes with the top bit set.
    package static func pairs(_ pairs: [(String, String)]) -> [UInt8] {
        func length(_ count: Int) -> [UInt8] {
            count < 128
                ? [UInt8(count)]
                : [
                    UInt8(count >> 24) | 0x80, UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF),
                    UInt8(count & 0xFF),
                ]
        }
        return pairs.flatMap { name, value in
            length(name.utf8.count) + length(value.utf8.count) + Array(name.utf8)
                + Array(value.utf8)
        }
    }

    /// The pairs in the content of a GET_VALUES_RESULT, whose lengths are all short.
    package var shortPairs: [String: String] {
        var found: [String: String] = [:]
        var at = 0
        while at + 1 < content.count {
            let (name, value) = (Int(content[at]), Int(content[at + 1]))
            guard name < 128, value < 128, at + 2 + name + value <= content.count else {
                return found
            }
            let text = String(decoding: content[(at + 2)..<(at + 2 + name + value)], as: UTF8.self)
            found[String(text.prefix(name))] = String(text.dropFirst(name))
            at += 2 + name + value
        }
        return found
    }
}

/// A request as a web server would put it to a responder.
package struct FastCGIRequest {
    package var method: String
    package var target: String
    package var body: [UInt8] = []
    /// FastCGI parameters, in this order, besides REQUEST_METHOD and REQUEST_URI.
    package var params: [(String, String)] = []

    /// - Parameter fields: header fields, which become HTTP_… parameters.
    package init(
        _ method: String = "GET",
        _ target: String,
        fields: [String: String] = [:],
        params: [(String, String)] = []
    ) {
        self.method = method
        self.target = target
        self.params =
            params
            + fields.sorted { $0.key < $1.key }.map { name, value in
                ("HTTP_" + name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined(), value)
            }
    }

    package static func publish(
        _ target: String,
        _ body: String,
        type: String = "text/plain",
        fields: [String: String] = [:],
        params: [(String, String)] = []
    ) -> FastCGIRequest {
        var request = FastCGIRequest("POST", target, fields: fields, params: params)
        request.body = Array(body.utf8)
        request.params += [
            ("CONTENT_TYPE", type), ("CONTENT_LENGTH", String(request.body.count)),
        ]
        return request
    }

    package var encodedParams: [UInt8] {
        FastCGIRecord.pairs([("REQUEST_METHOD", method), ("REQUEST_URI", target)] + params)
    }

    /// BEGIN, PARAMS, STDIN.
    package func bytes(id: UInt16 = 1, keep: Bool = false, pieces: Int = 65_535) -> [UInt8] {
        FastCGIRecord.begin(id: id, keep: keep).bytes
            + FastCGIRecord.stream(FastCGIRecord.params, id: id, encodedParams, pieces: pieces)
            + FastCGIRecord.stream(FastCGIRecord.stdin, id: id, body, pieces: pieces)
    }
}
