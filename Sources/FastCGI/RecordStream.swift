internal import Text

/// Parses what a responder sends, record by record: the other side of the protocol, for the CGI bridge.
package struct RecordStream {
    package enum Piece: Equatable {
        /// Content of STDOUT; never empty.
        case output([UInt8])
        case error([UInt8])
        /// END_REQUEST.
        case end(appStatus: UInt32, protocolStatus: UInt8)
    }

    private var buffer = ByteQueue()

    package init() {}

    package mutating func receive(_ bytes: UnsafeRawBufferPointer) {
        unsafe buffer.append(bytes)
    }

    /// The next complete piece; empty records and records of other types are skipped.
    package mutating func next() -> Piece? {
        while buffer.count >= RecordHeader.byteCount {
            let header = RecordHeader(buffer.prefix(RecordHeader.byteCount))
            guard buffer.count >= header.recordLength else { return nil }
            let record = buffer.take(header.recordLength)
            let content = record.dropFirst(RecordHeader.byteCount).prefix(header.contentLength)
            switch header.type {
            case Record.stdout where !content.isEmpty: return .output(Array(content))
            case Record.stderr where !content.isEmpty: return .error(Array(content))
            case Record.endRequest where content.count >= 5:
                return .end(
                    appStatus: content.prefix(4).reduce(0) { $0 << 8 | UInt32($1) },
                    protocolStatus: content[content.startIndex + 4]
                )
            default: break
            }
        }
        return nil
    }
}
