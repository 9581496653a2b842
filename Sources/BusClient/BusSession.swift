internal import System
package import Text

/// Commands with their answers on one connection, one after the other.
package final class BusSession {
    private let connector: BusConnector
    private let patienceSeconds: Int
    private var exchange: BusExchange

    package init(_ connector: BusConnector, patienceSeconds: Int = 10) {
        self.connector = connector
        self.patienceSeconds = patienceSeconds
        exchange = BusExchange(connector)
    }

    /// Whether the last answer came from inside this process: no process serves the bus, and only the log is known.
    package var knowsLogOnly: Bool { exchange.isInside }

    /// The path of the bus socket.
    package var path: String { connector.path }

    /// Sends a command and waits for the answer; repeats it on a new connection if the old one has ended, and later if
    /// the refusal is transient.
    package func ask(_ command: String) throws(BusClientError) -> BusAnswer {
        let deadline = MonotonicClock.milliseconds() + Int64(patienceSeconds) * 1000
        var last: BusAnswer?
        while MonotonicClock.milliseconds() < deadline {
            let bytes = Array((command + "\n").utf8)
            guard let answer = try exchange.ask(bytes, until: deadline) else {
                MonotonicClock.sleep(milliseconds: 10)
                continue
            }
            guard answer.isTransient else {
                if let refusal = answer.refusal { throw refusal }
                return answer
            }
            last = answer
            MonotonicClock.sleep(milliseconds: 250)
        }
        if let refusal = last?.refusal { throw refusal }
        throw exchange.noAnswer("no answer within \(patienceSeconds) s")
    }

    /// Lists the channels that this user may read, up to a limit.
    package func channels(
        atMost limit: Int = .max,
        _ body: (JSONValue) -> Void
    ) throws(BusClientError) {
        var count = 0
        var after: String?
        repeat {
            let answer = try ask(after.map { "channels \($0)" } ?? "channels")
            for channel in answer["channels"]?.elements ?? [] {
                guard count < limit else { return }
                count += 1
                body(channel)
            }
            after = answer["next"]?.string
        } while after != nil
    }
}
