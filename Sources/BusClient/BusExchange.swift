internal import System

/// Commands with their answers, one after the other, on a connection that is made anew when the last one has ended.
struct BusExchange {
    private let connector: BusConnector
    private var connection: LineConnection?
    private var silence = Silence()

    init(_ connector: BusConnector) { self.connector = connector }

    /// Whether the last answer came from inside this process: no process serves the bus.
    var isInside: Bool { connection?.isInside ?? false }

    /// Makes a connection unless there is one.
    mutating func connect(until deadline: Int64) throws(BusClientError) {
        if connection == nil { connection = try connector.open(until: deadline) }
    }

    /// Sends a command, and waits for its answer; nil if it did not come, or the connection has ended before it. Then the
    /// command may have been carried out all the same.
    mutating func ask(
        _ command: [UInt8],
        until deadline: Int64
    ) throws(BusClientError) -> BusAnswer? {
        try connect(until: deadline)
        guard let connection else { return nil }
        // A peer that closes before it has taken everything may have said why.
        _ = connection.send(command, until: deadline)
        switch connection.next(until: deadline) {
        case .line(let line):
            silence.end()
            return try BusAnswer(line)
        case .nothing: break
        case .end: silence.closed()
        }
        self.connection = nil
        return nil
    }

    /// The error of a command that got no answer.
    ///
    /// - Parameters:
    ///   - late: a sentence, if the peer may be a bus.
    ///   - outcome: a further sentence, if it is none.
    func noAnswer(_ late: String, outcome: String = "") -> BusClientError {
        silence.isEvident ? connector.silentError(outcome) : connector.lateError(late)
    }
}
