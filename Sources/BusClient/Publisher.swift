internal import System
internal import Text

/// Publishes so that each message is committed exactly once, even if the process that serves the bus ends: every
/// command has an idempotency key, and one whose answer does not come is repeated for as long as its key is known.
package final class Publisher {
    /// A key is known for five minutes; the difference allows for delays of a repeated command.
    package static let repeatMilliseconds: Int64 = 240_000

    private let connector: BusConnector
    private let repeatMilliseconds: Int64
    private let timeoutMilliseconds: Int64
    private var exchange: BusExchange
    private let keys = String.randomName() + String.randomName()
    private var sent = 0

    package init(
        _ connector: BusConnector,
        timeoutSeconds: Int,
        repeatMilliseconds: Int64 = Publisher.repeatMilliseconds
    ) {
        self.connector = connector
        self.repeatMilliseconds = repeatMilliseconds
        exchange = BusExchange(connector)
        timeoutMilliseconds = Int64(timeoutSeconds) * 1000
    }

    /// Publishes a body with the options of `put` and returns the answer.
    ///
    /// - Parameters:
    ///   - options: those of `put`, without `key`.
    ///   - key: the caller's own, or nil.
    ///   - waitsForQuota: whether to wait when this publisher's quota is used up; that time does not count against the
    ///     timeout.
    package func put(
        _ body: [UInt8],
        to channel: String,
        options: [String],
        key: String? = nil,
        waitsForQuota: Bool = false
    ) throws(BusClientError) -> BusAnswer {
        sent += 1
        let words =
            ["put", channel, "\(body.count)"] + options
            + ["key=\(Self.escaped(key ?? "\(keys)-\(sent)"))"]
        let command = Array((words.joined(separator: " ") + "\n").utf8) + body
        var deadline = MonotonicClock.milliseconds() + timeoutMilliseconds
        // After this time a repeat would be a second message.
        var sendBy: Int64?
        var last: BusAnswer?
        while true {
            let now = MonotonicClock.milliseconds()
            guard now < deadline, now < sendBy ?? .max else {
                if let refusal = last?.refusal { throw refusal }
                guard now >= deadline else {
                    throw connector.lateError(
                        "no answer came, and the message is not sent again, because its key is known for only five "
                            + "minutes; it may or may not have been committed"
                    )
                }
                throw exchange.noAnswer(
                    "no answer within \(timeoutMilliseconds / 1000) s; the message may or may not have been committed",
                    outcome: " The message may or may not have been committed"
                )
            }
            if let answer = try ask(command, until: deadline, &sendBy) {
                if waitsForQuota, let seconds = answer.quotaSeconds {
                    // A command refused by the quota was not carried out, neither now nor before.
                    sendBy = nil
                    MonotonicClock.sleep(milliseconds: Int64(seconds) * 1000)
                    deadline = MonotonicClock.milliseconds() + timeoutMilliseconds
                    continue
                }
                if !answer.isTransient {
                    if let refusal = answer.refusal { throw refusal }
                    return answer
                }
                last = answer
            }
            // Gives another process time to take over, or the log time to recover.
            MonotonicClock.sleep(milliseconds: last == nil ? 10 : 250)
        }
    }

    /// Sends a command and returns its answer; nil if the connection ended before it.
    private func ask(
        _ command: [UInt8],
        until deadline: Int64,
        _ sendBy: inout Int64?
    ) throws(BusClientError) -> BusAnswer? {
        try exchange.connect(until: min(deadline, sendBy ?? deadline))
        sendBy = sendBy ?? MonotonicClock.milliseconds() + repeatMilliseconds
        return try exchange.ask(command, until: deadline)
    }

    /// Escapes the value of an option as ASCII: blanks and percent signs have a meaning of their own.
    package static func escaped(_ value: String) -> String {
        var text = ""
        for byte in value.utf8 {
            if (0x21...0x7E).contains(byte), byte != 0x25 {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return text
    }
}
