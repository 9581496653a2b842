internal import FoundationEssentials
internal import Reactor
internal import Text

/// Publishes so that each message is committed once, also across the end of the process that serves the bus: every
/// command has an idempotency key, and one whose answer does not come is repeated, as long as its key is known.
package final class Publisher {
    /// A key is known for five minutes; the rest is for a repeat that has to wait on its way.
    package static let repeatMilliseconds: Int64 = 240_000

    private let door: BusDoor
    private let repeatMilliseconds: Int64
    private let timeoutMilliseconds: Int64
    private var connection: LineConnection?
    private let keys = UUID().uuidString
    private var sent = 0

    package init(
        _ door: BusDoor,
        timeoutSeconds: Int,
        repeatMilliseconds: Int64 = Publisher.repeatMilliseconds
    ) {
        self.door = door
        self.repeatMilliseconds = repeatMilliseconds
        timeoutMilliseconds = Int64(timeoutSeconds) * 1000
    }

    /// Publishes a body with the options of `put`, and returns the answer; waits for it at most the time given.
    ///
    /// - Parameters:
    ///   - options: as `put` has them, without `key`.
    ///   - key: the caller's own, or nil.
    ///   - waitsForQuota: where this publisher has used its quota up, what it has to wait for is not counted.
    package func put(
        _ body: [UInt8],
        to channel: String,
        options: [String],
        key: String? = nil,
        waitsForQuota: Bool = false
    ) throws -> BusAnswer {
        sent += 1
        let words =
            ["put", channel, "\(body.count)"] + options
            + ["key=\(Self.escaped(key ?? "\(keys)-\(sent)"))"]
        let command = Array((words.joined(separator: " ") + "\n").utf8) + body
        var deadline = MonotonicClock.milliseconds() + timeoutMilliseconds
        // After this it would be another message.
        var sendBy: Int64?
        var last: BusAnswer?
        while true {
            let now = MonotonicClock.milliseconds()
            guard now < deadline, now < sendBy ?? .max else {
                throw last?.refusal
                    ?? door.silent(
                        now < deadline
                            ? "no answer came, and the message is not sent again, since its key is only known for five "
                                + "minutes; it may or may not have been kept"
                            : "no answer within \(timeoutMilliseconds / 1000) s; the message may or may not have been kept"
                    )
            }
            if let answer = try ask(command, until: deadline, &sendBy) {
                if waitsForQuota, let seconds = answer.quotaSeconds {
                    // Who is told so has kept nothing, nor had before.
                    sendBy = nil
                    MonotonicClock.sleep(milliseconds: Int64(seconds) * 1000)
                    deadline = MonotonicClock.milliseconds() + timeoutMilliseconds
                    continue
                }
                if !answer.isPassing {
                    if let refusal = answer.refusal { throw refusal }
                    return answer
                }
                last = answer
            }
            // A moment for another process to take over, or for the log to come back.
            MonotonicClock.sleep(milliseconds: last == nil ? 10 : 250)
        }
    }

    /// One command and its answer; nil where the connection ended before it.
    private func ask(
        _ command: [UInt8],
        until deadline: Int64,
        _ sendBy: inout Int64?
    ) throws -> BusAnswer? {
        let connection = try connection ?? door.open(until: min(deadline, sendBy ?? deadline))
        self.connection = connection
        sendBy = sendBy ?? MonotonicClock.milliseconds() + repeatMilliseconds
        guard connection.send(command, until: deadline) else {
            self.connection = nil
            return nil
        }
        switch connection.next(until: deadline) {
        case .line(let line): return try BusAnswer(line)
        case .nothing, .end:
            self.connection = nil
            return nil
        }
    }

    /// A value of an option, in ASCII: its blanks and percent signs must not be taken for something else.
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
