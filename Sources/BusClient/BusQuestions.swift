internal import Glibc
internal import Reactor
package import Text

/// Questions on one connection, one after the other.
package final class BusQuestions {
    private let door: BusDoor
    private let patienceSeconds: Int
    private var connection: LineConnection?

    package init(_ door: BusDoor, patienceSeconds: Int = 10) {
        self.door = door
        self.patienceSeconds = patienceSeconds
    }

    /// The last answer came from inside this process: nobody serves the bus, and all it knows is the log.
    package var knowsLogOnly: Bool { connection?.isInside ?? false }

    /// The path of the bus socket.
    package var path: String { door.path }

    /// Asks and waits for the answer: again on a new connection where the old one has ended, and again where it is refused
    /// for now only.
    package func ask(_ command: String) throws -> BusAnswer {
        let deadline = MonotonicClock.milliseconds() + Int64(patienceSeconds) * 1000
        var last: BusAnswer?
        while MonotonicClock.milliseconds() < deadline {
            let connection = try connection ?? door.open(until: deadline)
            self.connection = nil
            guard connection.send(Array((command + "\n").utf8), until: deadline),
                case .line(let line) = connection.next(until: deadline)
            else { continue }
            self.connection = connection
            let answer = try BusAnswer(line)
            guard answer.isPassing else {
                if let refusal = answer.refusal { throw refusal }
                return answer
            }
            last = answer
            MonotonicClock.sleep(milliseconds: 250)
        }
        throw last?.refusal ?? door.silent("no answer within \(patienceSeconds) s")
    }

    /// The channels that this user may read, as `channels` lists them: at most so many.
    package func channels(
        atMost limit: Int = .max,
        _ body: (JSONValue) throws -> Void
    ) throws {
        var count = 0
        var after: String?
        repeat {
            let answer = try ask(after.map { "channels \($0)" } ?? "channels")
            for channel in answer["channels"]?.elements ?? [] {
                guard count < limit else { return }
                count += 1
                try body(channel)
            }
            after = answer["next"]?.string
        } while after != nil
    }
}
