package import Channels
internal import Text

/// What equal streams have in common: everything their bytes depend on but messages and cursors. Equal subscriptions get
/// equal bytes, which are therefore made once.
package struct StreamSubscription: Hashable, Sendable {
    package enum Form: Hashable, Sendable {
        /// On the bus socket: a JSON object in each line, with its `kind`.
        case lines
        /// The same over HTTP.
        case ndjson
        /// EventSource; bare: an event's data is the message's body alone, not the object that other answers have.
        case events(bare: Bool)

        /// Over HTTP, in FastCGI records.
        package var isFramed: Bool { self != .lines }
    }

    /// Ascending and distinct.
    package let channels: [ChannelName]
    package let form: Form
    /// Bytes of a line without its end: of a message whose line would be longer, it is only said how long it is. Nil: any.
    package var lineLimit: Int?

    /// What is said without the body always fits into the least.
    static let lineLimits = 1024...(64 << 20)

    static func lineLimit(_ text: String?) throws(Problem) -> Int? {
        guard let text else { return nil }
        guard let limit = text.wholeNumber, lineLimits.contains(limit) else {
            throw .badRequest(
                "invalid_line_limit",
                "'line_limit' is a whole number of bytes from \(lineLimits.lowerBound) to \(lineLimits.upperBound)."
            )
        }
        return limit
    }
}

/// Why a stream ends.
package enum StreamEnd: String, Sendable {
    /// The process ends; another may go on.
    case shutdown
    /// It has lived as long as streams do; the client goes on with a new one.
    case lifetime
    /// A newer request of the same subscriber. He does not come back.
    case superseded
    /// The client said that it leaves.
    case left
    /// A newer request took its place when a bound was reached.
    case limit
    /// The client sent what can't be understood.
    case error
    /// The client did not read fast enough.
    case slow
    /// The log can't be read.
    case unavailable
    /// Who may read was changed. A client that comes back is judged anew.
    case revoked
}

extension StreamSubscription {
    /// The first word: where the stream begins; as an event, also how often it says that it lives.
    package func hello(at cursor: Cursor, heartbeatSeconds: Int) -> [UInt8] {
        if case .events = form {
            return EventStream.hello(at: cursor, heartbeatSeconds: heartbeatSeconds)
        }
        return jsonLine("hello") { $0.append(field: "cursor", cursor) }
    }

    /// Everything that what it is told depends on within one log: equal for streams that differ in their channels alone,
    /// where what was read is the same.
    package struct Content: Hashable {
        private let form: Form
        private let lineLimit: Int?
        private let offsets: [Offset]
        private let gap: GapReason?
        private let scanned: Offset

        fileprivate init(_ stream: StreamSubscription, _ reading: HistoryReading) {
            (form, lineLimit) = (stream.form, stream.lineLimit)
            offsets = reading.messages.map(\.offset)
            (gap, scanned) = (reading.gap, reading.scanned)
        }
    }

    package func content(of reading: HistoryReading) -> Content { Content(self, reading) }

    /// As much of what was read as makes so many bytes, but one message in any case.
    package func fitting(_ reading: HistoryReading, bytes: Int) -> HistoryReading {
        reading.fitting(bytes, size)
    }

    private func size(of message: Message) -> Int {
        guard case .events(bare: true) = form else { return 128 + MessageEncoder.size(of: message) }
        return EventStream.size(ofBare: message)
    }

    /// What was read, a gap before the messages. A message's id is the cursor behind it; but that of an epoch before
    /// this one would be judged anew, and who was told of a gap would be told again.
    package func chunk(_ reading: HistoryReading, epoch: Epoch) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(reading.messages.reduce(256) { $0 + size(of: $1) })
        if let gap = reading.gap {
            let resumed = reading.messages.first?.offset.previous ?? reading.scanned
            bytes += self.gap(gap, resumed: Cursor(epoch: epoch, offset: resumed))
        }
        for message in reading.messages { append(message, in: epoch, to: &bytes) }
        return bytes
    }

    private func append(_ message: Message, in epoch: Epoch, to bytes: inout [UInt8]) {
        let cursor = Cursor(epoch: epoch, offset: message.offset)
        guard let lineLimit else { return append(message, cursor, isOmitted: false, to: &bytes) }
        let begin = bytes.count
        // In no form a body becomes shorter.
        if message.body.count <= lineLimit {
            append(message, cursor, isOmitted: false, to: &bytes)
            let lines = bytes[begin...].split(separator: 0x0A)
            if lines.allSatisfy({ $0.count <= lineLimit }) { return }
            bytes.removeSubrange(begin...)
        }
        append(message, cursor, isOmitted: true, to: &bytes)
    }

    private func append(
        _ message: Message,
        _ cursor: Cursor,
        isOmitted: Bool,
        to bytes: inout [UInt8]
    ) {
        if case .events(let bare) = form {
            return EventStream.append(
                message,
                at: cursor,
                bare: bare,
                isOmitted: isOmitted,
                to: &bytes
            )
        }
        bytes.append("{\"kind\":\"message\",")
        MessageEncoder.appendMembers(of: message, isOmitted: isOmitted, to: &bytes)
        if cursor != message.id { bytes.append(field: "cursor", cursor) }
        bytes.append("}\n")
    }

    /// Messages are missing; the stream goes on behind `resumed`.
    package func gap(_ reason: GapReason, resumed: Cursor) -> [UInt8] {
        if case .events = form { return EventStream.gap(reason, resumed: resumed) }
        return jsonLine("gap") { bytes in
            bytes.append(",\"reason\":\"")
            bytes.append(text: reason.rawValue)
            bytes.append(UInt8(ascii: "\""))
            bytes.append(field: "cursor", resumed)
        }
    }

    /// The service's own figures; `members` are those of a JSON object without its braces.
    package func status(_ members: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        if case .events = form {
            bytes.append("event: status\ndata: {")
            bytes += members
            bytes.append("}\n\n")
        } else {
            bytes.append("{\"kind\":\"status\",")
            bytes += members
            bytes.append("}\n")
        }
        return bytes
    }

    /// That the stream lives; in lines, also how far it has come.
    ///
    /// - Parameter bytes: how long it is at least, by blanks at its end.
    package func ping(at cursor: Cursor, bytes: Int = 0) -> [UInt8] {
        var ping: [UInt8] = []
        if case .events = form {
            ping = EventStream.ping
        } else {
            ping = jsonLine("ping") { $0.append(field: "cursor", cursor) }
        }
        let blanks = max(0, bytes - ping.count)
        // In the comment, or behind the object.
        ping.insert(contentsOf: repeatElement(UInt8(ascii: " "), count: blanks), at: ping.count - 1)
        return ping
    }

    /// The last word: where to go on; nil: where it was to begin.
    ///
    /// - Parameter retryAfterSeconds: a client that comes back should wait so long.
    package func bye(
        _ reason: StreamEnd,
        at cursor: Cursor?,
        retryAfterSeconds: Int? = nil
    ) -> [UInt8] {
        if case .events = form {
            return EventStream.bye(reason, at: cursor, retryAfterSeconds: retryAfterSeconds)
        }
        return jsonLine("bye") { bytes in
            bytes.append(",\"reason\":\"")
            bytes.append(text: reason.rawValue)
            bytes.append(UInt8(ascii: "\""))
            if let cursor { bytes.append(field: "cursor", cursor) }
            if let retryAfterSeconds {
                bytes.append(",\"retry_after\":")
                bytes.append(decimal: retryAfterSeconds)
            }
        }
    }
}

/// `{"kind":…}` with further members, which begin with their comma.
func jsonLine(_ kind: StaticString, _ members: (inout [UInt8]) -> Void = { _ in }) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append("{\"kind\":\"")
    bytes.append(kind)
    bytes.append(UInt8(ascii: "\""))
    members(&bytes)
    bytes.append("}\n")
    return bytes
}

extension [UInt8] {
    /// `,"name":"cursor"`
    mutating func append(field name: StaticString, _ cursor: Cursor) {
        append(",\"")
        append(name)
        append("\":\"")
        append(cursor)
        append(UInt8(ascii: "\""))
    }
}
