package import Channels
internal import Text

/// Everything that determines the bytes of a stream except messages and cursors. Equal subscriptions get equal bytes,
/// which are therefore made once.
package struct StreamSubscription: Hashable, Sendable {
    package enum Form: Hashable, Sendable {
        /// On the bus socket: a JSON object in each line, with its `kind`.
        case lines
        /// The same over HTTP.
        case ndjson
        /// EventSource; bare: the data of an event is the message's body alone, not the object of other answers.
        case events(bare: Bool)

        /// Over HTTP, in FastCGI records.
        package var isFramed: Bool { self != .lines }
    }

    /// Ascending and distinct.
    package let channels: [ChannelName]
    package let form: Form
    /// The longest line in bytes, without its end; of a message with a longer line only the length is given. Nil: no
    /// limit.
    package var lineLimit: Int?

    /// The least limit always suffices for a message without its body.
    static let lineLimits = 1024...(64 << 20)

    static func lineLimit(_ text: String?) throws(Problem) -> Int? {
        guard let text else { return nil }
        guard let limit = text.wholeNumber, lineLimits.contains(limit) else {
            throw .badRequest(
                "invalid_line_limit",
                "'line_limit' must be a whole number of bytes from \(lineLimits.lowerBound) to \(lineLimits.upperBound)."
            )
        }
        return limit
    }
}

extension StreamSubscription {
    /// The first event: the position at which the stream starts, and over HTTP the heartbeat's interval.
    package func hello(at cursor: Cursor, heartbeatSeconds: Int) -> [UInt8] {
        if case .events = form {
            return EventStream.hello(at: cursor, heartbeatSeconds: heartbeatSeconds)
        }
        return jsonLine("hello") { $0.append(member: "cursor", cursor) }
    }

    /// Everything that determines a chunk's bytes within one log: equal for streams that differ only in their channels,
    /// if they read the same.
    package struct Content: Hashable {
        private let form: Form
        private let lineLimit: Int?
        private let offsets: [Offset]
        private let gap: GapReason?
        private let scanned: Offset

        fileprivate init(_ stream: StreamSubscription, _ page: HistoryPage) {
            (form, lineLimit) = (stream.form, stream.lineLimit)
            offsets = page.messages.map(\.offset)
            (gap, scanned) = (page.gap, page.scanned)
        }
    }

    package func content(of page: HistoryPage) -> Content { Content(self, page) }

    /// The part of a page that fits into this many bytes, but at least one message.
    package func fitting(_ page: HistoryPage, bytes: Int) -> HistoryPage {
        page.fitting(bytes, size)
    }

    private func size(of message: Message) -> Int {
        guard case .events(bare: true) = form else { return 128 + MessageEncoder.size(of: message) }
        return EventStream.size(ofBare: message)
    }

    /// A page as bytes, with a gap before the messages. The id of a message is the cursor after it; but a cursor of
    /// an earlier epoch would be judged anew, and a client that was told of a gap would be told again.
    package func chunk(_ page: HistoryPage, epoch: Epoch) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(page.messages.reduce(256) { $0 + size(of: $1) })
        if let gap = page.gap {
            let resumed = page.messages.first?.offset.previous ?? page.scanned
            bytes += self.gap(gap, resumed: Cursor(epoch: epoch, offset: resumed))
        }
        for message in page.messages { append(message, in: epoch, to: &bytes) }
        return bytes
    }

    private func append(_ message: Message, in epoch: Epoch, to bytes: inout [UInt8]) {
        let cursor = Cursor(epoch: epoch, offset: message.offset)
        guard let lineLimit else { return append(message, cursor, isOmitted: false, to: &bytes) }
        let begin = bytes.count
        // A body becomes shorter in no form.
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
        bytes.openObject()
        bytes.append(member: "kind", word: "message")
        MessageEncoder.appendMembers(of: message, isOmitted: isOmitted, to: &bytes)
        if cursor != message.id { bytes.append(member: "cursor", cursor) }
        bytes.closeObjectAndLine()
    }

    /// Reports that messages are missing; the stream continues after `resumed`.
    package func gap(_ reason: GapReason, resumed: Cursor) -> [UInt8] {
        if case .events = form { return EventStream.gap(reason, resumed: resumed) }
        return jsonLine("gap") { bytes in
            bytes.append(member: "reason", text: reason.rawValue)
            bytes.append(member: "cursor", resumed)
        }
    }

    /// The service's status; `members` are those of a JSON object, without its braces.
    package func status(_ members: [UInt8]) -> [UInt8] {
        if case .events = form { return EventStream.status(members) }
        return jsonLine("status") { bytes in
            bytes.beginElement()
            bytes += members
        }
    }

    /// A sign of life; in lines, also the current position.
    ///
    /// - Parameter bytes: its least length, reached by blanks at its end.
    package func ping(at cursor: Cursor, bytes: Int = 0) -> [UInt8] {
        var ping: [UInt8] = []
        if case .events = form {
            ping = EventStream.ping
        } else {
            ping = jsonLine("ping") { $0.append(member: "cursor", cursor) }
        }
        let blanks = max(0, bytes - ping.count)
        // Inside the comment, or after the object.
        ping.insert(contentsOf: repeatElement(UInt8(ascii: " "), count: blanks), at: ping.count - 1)
        return ping
    }

    /// The last event: the cursor to continue from; nil: the one at which it was to start.
    ///
    /// - Parameter retryAfterSeconds: how long a client that comes back should wait.
    package func bye(
        _ reason: StreamEnd,
        at cursor: Cursor?,
        retryAfterSeconds: Int? = nil
    ) -> [UInt8] {
        if case .events = form {
            return EventStream.bye(reason, at: cursor, retryAfterSeconds: retryAfterSeconds)
        }
        return jsonLine("bye") { bytes in
            bytes.append(member: "reason", text: reason.rawValue)
            if let cursor { bytes.append(member: "cursor", cursor) }
            if let retryAfterSeconds { bytes.append(member: "retry_after", retryAfterSeconds) }
        }
    }
}

/// `{"kind":…}` with further members.
func jsonLine(_ kind: StaticString, _ members: (inout [UInt8]) -> Void = { _ in }) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.openObject()
    bytes.append(member: "kind", word: kind)
    members(&bytes)
    bytes.closeObjectAndLine()
    return bytes
}
