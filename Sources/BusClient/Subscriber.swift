internal import Glibc
internal import System
internal import Text

/// Subscribes to channels, and reconnects with its cursor when the connection ends.
package final class Subscriber {
    package enum Event {
        /// A line as the bus sent it: hello, message, gap, ping or bye.
        case line(BusAnswer)
        /// The subscription is interrupted, with the reason; reported once per interruption.
        case waiting(String)
        /// Our output has no reader any more.
        case outputClosed
    }

    private let connector: BusConnector
    private let channels: [String]
    private var since: String
    private var connection: LineConnection?
    private var hasBegun = false
    private var silence = Silence()
    /// Monotonic milliseconds when a peer that is no bus is given up; nil before there is one.
    private var patienceEnds: Int64?
    /// The milliseconds before the next attempt, and whether the interruption was reported.
    private var pause: Int64 = 0
    private var reportedWaiting = false
    /// Somewhat more than two heartbeats: after that time the other side has vanished or is stopped.
    private static let silenceMilliseconds: Int64 = 40_000

    /// - Parameter since: a cursor, or a word that stands for one.
    package init(_ connector: BusConnector, channels: [String], since: String) {
        self.connector = connector
        self.channels = channels
        self.since = since
    }

    /// Waits for the next line. Each message is reported once: reconnecting resumes after the last reported message.
    package func next() throws(BusClientError) -> Event {
        while true {
            if let connection {
                switch try line(connection) {
                case .some(let event): return event
                case .none: self.connection = nil
                }
            }
            if silence.isEvident, let patienceEnds, MonotonicClock.milliseconds() >= patienceEnds {
                throw connector.silentError()
            }
            if isOutputClosed(waiting: pause) { return .outputClosed }
            pause = min(2000, max(20, pause * 2))
            do throws(BusClientError) {
                let deadline = MonotonicClock.milliseconds() + 10_000
                let opened = try connector.open(until: deadline)
                patienceEnds = patienceEnds ?? deadline
                let command = "subscribe \(channels.joined(separator: " ")) since \(since)\n"
                // A peer that closes before it has taken everything may have said why.
                _ = opened.send(Array(command.utf8), until: deadline)
                connection = opened
            } catch {
                // A subscriber that was connected before waits for the service to come back.
                guard hasBegun else { throw error }
                if let event = waiting(error) { return event }
            }
        }
    }

    private func waiting(_ error: BusClientError) -> Event? {
        if reportedWaiting { return nil }
        reportedWaiting = true
        return .waiting("\(error)")
    }

    /// Waits for the next event of a connection; nil if it has ended.
    private func line(_ connection: LineConnection) throws(BusClientError) -> Event? {
        let deadline = MonotonicClock.milliseconds() + Self.silenceMilliseconds
        while true {
            if let line = connection.takeLine() { return try take(line) }
            guard MonotonicClock.milliseconds() < deadline else {
                self.connection = nil
                return waiting(connector.lateError("nothing came for 40 s, not even a heartbeat"))
            }
            var looks = [
                pollfd(fd: connection.number, events: Int16(POLLIN), revents: 0),
                pollfd(fd: 1, events: 0, revents: 0),
            ]
            _ = unsafe poll(&looks, 2, 1000)
            if looks[1].revents & Int16(POLLERR) != 0 { return .outputClosed }
            if looks[0].revents != 0, !connection.receive() {
                silence.closed()
                return nil
            }
        }
    }

    private func take(_ line: [UInt8]) throws(BusClientError) -> Event? {
        let answer = try BusAnswer(line)
        silence.end()
        if let refusal = answer.refusal {
            guard answer.isTransient else { throw refusal }
            connection = nil
            return waiting(refusal)
        }
        (hasBegun, pause, reportedWaiting) = (true, 0, false)
        if let cursor = (answer["cursor"] ?? answer["id"])?.string { since = cursor }
        return .line(answer)
    }

    private func isOutputClosed(waiting milliseconds: Int64) -> Bool {
        var look = pollfd(fd: 1, events: 0, revents: 0)
        _ = unsafe poll(&look, 1, Int32(milliseconds))
        return look.revents & Int16(POLLERR) != 0
    }
}
