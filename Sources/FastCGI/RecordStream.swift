/// Takes what a responder sends apart, record by record: the other side of the protocol, for the CGI bridge.
package struct RecordStream {
    package enum Piece: Equatable {
        /// Content of STDOUT; never empty.
        case output([UInt8])
        case error([UInt8])
        /// END_REQUEST.
        case end(appStatus: UInt32, protocolStatus: UInt8)
    }

    private var buffer: [UInt8] = []
    private var start = 0

    package init() {}

    package mutating func receive(_ bytes: UnsafeRawBufferPointer) {
        buffer.removeFirst(start)
        start = 0
        unsafe buffer.append(contentsOf: bytes)
    }

    /// The next piece that has come completely; records of other kinds and empty ones are passed over.
    package mutating func next() -> Piece? {
        while buffer.count - start >= RecordHeader.byteCount {
            let header = RecordHeader(buffer[start...])
            guard buffer.count - start >= header.recordLength else { return nil }
            let from = start + RecordHeader.byteCount
            let content = buffer[from..<from + header.contentLength]
            start += header.recordLength
            switch header.type {
            case Record.stdout where !content.isEmpty: return .output(Array(content))
            case Record.stderr where !content.isEmpty: return .error(Array(content))
            case Record.endRequest where content.count >= 5:
                return .end(
                    appStatus: content.prefix(4).reduce(0) { $0 << 8 | UInt32($1) },
                    protocolStatus: content[from + 4]
                )
            default: break
            }
        }
        return nil
    }
}
