/// A FastCGI request id: chosen by the web server, unique among the open requests of a connection.
///
/// Never 0, which is the id of management records (FastCGI 1.0 §3.3).
package struct RequestID: Hashable, Sendable, BitwiseCopyable {
    package let value: UInt16

    package init?(_ value: UInt16) {
        guard value != 0 else { return nil }
        self.value = value
    }

    private init(known value: UInt16) { self.value = value }

    /// The id that nearly every web server uses for its only request; answers are encoded with it.
    package static let first = RequestID(known: 1)
}

/// The eight bytes before the content of every record (FastCGI 1.0 §3.3), integers big-endian:
/// ```
///   0       1      2..3        4..5            6               7
/// +-------+------+-----------+---------------+---------------+----------+
/// |version| type | requestId | contentLength | paddingLength | reserved |
/// +-------+------+-----------+---------------+---------------+----------+
/// ```
package struct RecordHeader: Equatable, Sendable {
    package static let byteCount = 8

    package var version: UInt8
    package var type: UInt8
    /// 0 in management records.
    package var id: UInt16
    package var contentLength: Int
    package var paddingLength: Int

    package init(
        version: UInt8 = 1,
        type: UInt8,
        id: UInt16,
        contentLength: Int,
        paddingLength: Int = 0
    ) {
        self.version = version
        self.type = type
        self.id = id
        self.contentLength = contentLength
        self.paddingLength = paddingLength
    }

    /// Reads a header from eight bytes in memory order.
    init(raw: UInt64) {
        let word = UInt64(bigEndian: raw)
        version = UInt8(truncatingIfNeeded: word >> 56)
        type = UInt8(truncatingIfNeeded: word >> 48)
        id = UInt16(truncatingIfNeeded: word >> 32)
        contentLength = Int(UInt16(truncatingIfNeeded: word >> 16))
        paddingLength = Int(UInt8(truncatingIfNeeded: word >> 8))
    }

    /// Reads the header that begins at `offset`; eight bytes must be there.
    package init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        self.init(raw: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    package init(_ bytes: some Collection<UInt8>) {
        precondition(bytes.count >= RecordHeader.byteCount, "a record header has eight bytes")
        var word: UInt64 = 0
        for byte in bytes.prefix(RecordHeader.byteCount) { word = word << 8 | UInt64(byte) }
        self.init(raw: word.bigEndian)
    }

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }

    func append(to bytes: inout [UInt8]) {
        let word =
            UInt64(version) << 56 | UInt64(type) << 48 | UInt64(id) << 32
            | UInt64(UInt16(contentLength)) << 16 | UInt64(UInt8(paddingLength)) << 8
        unsafe withUnsafeBytes(of: word.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    /// Header, content and padding.
    package var recordLength: Int { RecordHeader.byteCount + contentLength + paddingLength }
}

/// Record types, statuses and encoders (FastCGI 1.0 §8 has all the numbers).
///
/// `Codec` encodes what a responder usually sends; these are for records without a document, and for peers: tests and
/// the CGI bridge.
package enum Record {
    package static let beginRequest: UInt8 = 1
    package static let abortRequest: UInt8 = 2
    package static let endRequest: UInt8 = 3
    package static let params: UInt8 = 4
    package static let stdin: UInt8 = 5
    package static let stdout: UInt8 = 6
    package static let stderr: UInt8 = 7
    package static let data: UInt8 = 8
    package static let getValues: UInt8 = 9
    package static let getValuesResult: UInt8 = 10
    package static let unknownType: UInt8 = 11

    package static let responderRole: UInt16 = 1
    package static let keepConnectionFlag: UInt8 = 1
    package static let maximumContentLength = 65_535

    /// FastCGI 1.0 §5.5.
    package enum ProtocolStatus: UInt8, Sendable {
        case requestComplete = 0
        case cannotMultiplex = 1
        case overloaded = 2
        case unknownRole = 3
    }

    /// One record, padded to a multiple of eight bytes unless told otherwise.
    package static func record(
        _ type: UInt8,
        id: UInt16,
        _ content: some Collection<UInt8>,
        padding: Int? = nil
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        append(type, id: id, content, padding: padding, to: &bytes)
        return bytes
    }

    private static func append(
        _ type: UInt8,
        id: UInt16,
        _ content: some Collection<UInt8>,
        padding: Int? = nil,
        to bytes: inout [UInt8]
    ) {
        let count = content.count
        precondition(count <= maximumContentLength, "a record holds at most 65535 bytes")
        let padding = padding ?? -count & 7
        let header = RecordHeader(
            type: type,
            id: id,
            contentLength: count,
            paddingLength: padding
        )
        header.append(to: &bytes)
        bytes.append(contentsOf: content)
        for _ in 0..<padding { bytes.append(0) }
    }

    /// As many records as the bytes need, each with at most `pieceLength` bytes; none for no bytes.
    ///
    /// - Parameter room: for bytes that the caller appends.
    package static func stream(
        _ type: UInt8,
        id: UInt16,
        _ content: [UInt8],
        pieceLength: Int = 65_528,
        room: Int = 0
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(content.count + (content.count / pieceLength + 1) * 16 + room)
        var start = 0
        while start < content.count {
            let end = min(start + pieceLength, content.count)
            append(type, id: id, content[start..<end], to: &bytes)
            start = end
        }
        return bytes
    }

    package static func beginRequest(
        id: RequestID,
        role: UInt16 = responderRole,
        keepConnection: Bool
    ) -> [UInt8] {
        let flags = keepConnection ? keepConnectionFlag : 0
        let body = [UInt8(role >> 8), UInt8(truncatingIfNeeded: role), flags, 0, 0, 0, 0, 0]
        return record(beginRequest, id: id.value, body)
    }

    package static func abortRequest(id: RequestID) -> [UInt8] {
        record(abortRequest, id: id.value, [])
    }

    package static func endRequest(
        id: RequestID,
        appStatus: UInt32 = 0,
        protocolStatus: ProtocolStatus
    ) -> [UInt8] {
        let status = (0..<4).map { UInt8(truncatingIfNeeded: appStatus >> (24 - 8 * $0)) }
        return record(endRequest, id: id.value, status + [protocolStatus.rawValue, 0, 0, 0])
    }

    package static func unknownType(_ type: UInt8) -> [UInt8] {
        record(unknownType, id: 0, [type, 0, 0, 0, 0, 0, 0, 0])
    }

    /// A complete answer: STDOUT records, the empty STDOUT, END_REQUEST.
    package static func answer(id: RequestID, _ document: [UInt8]) -> [UInt8] {
        stream(stdout, id: id.value, document) + record(stdout, id: id.value, [])
            + endRequest(id: id, protocolStatus: .requestComplete)
    }

    /// A complete request as a web server sends it: BEGIN_REQUEST, PARAMS and its end, STDIN and its end.
    package static func request(
        id: RequestID,
        keepConnection: Bool = false,
        variables: [(name: [UInt8], value: [UInt8])],
        body: [UInt8] = []
    ) -> [UInt8] {
        var pairs: [UInt8] = []
        for (name, value) in variables { NameValuePairs.append(name, value, to: &pairs) }
        return beginRequest(id: id, keepConnection: keepConnection)
            + stream(params, id: id.value, pairs) + record(params, id: id.value, [])
            + stream(stdin, id: id.value, body) + record(stdin, id: id.value, [])
    }
}
