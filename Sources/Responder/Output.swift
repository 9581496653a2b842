internal import System

/// The bytes that are sent to peers.
///
/// Bytes are sent at once. What a peer does not take now is queued, within a bound for the connection; `relieve` enforces
/// a second bound for all connections together. Connections are named by their index. Reactor thread only.
@safe final class Output {
    /// The outcome of sending.
    enum Sent {
        /// The peer has taken all of them.
        case all
        /// Some are queued; `isFirst`: the queue was empty before.
        case some(isFirst: Bool)
        /// The peer is gone, or does not read.
        case failed(Failure)
    }

    enum Failure {
        /// The connection is closed or reset.
        case gone
        /// The peer has more unsent bytes than one connection may have.
        case slow
    }

    /// The unsent bytes of one peer.
    private final class Backlog {
        var queue = Unsent.Queue()
        /// Monotonic milliseconds when the peer last took something.
        var progressedAt: Int64

        init(at now: Int64) { progressedAt = now }
    }

    /// The queues of connections with unsent bytes; few at any time.
    private var backlogs: [Int32: Backlog] = [:]
    private var unsent = Unsent()
    /// Short pieces are gathered here, to be sent together.
    private let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)

    deinit { unsafe room.deallocate() }

    /// The memory that the unsent bytes of all connections take.
    var bytes: Int { unsent.bytes }

    /// The number of unsent bytes.
    func unsentBytes(of connection: Int32) -> Int {
        backlogs.isEmpty ? 0 : backlogs[connection]?.queue.bytes ?? 0
    }

    func isEmpty(_ connection: Int32) -> Bool {
        backlogs.isEmpty || backlogs[connection] == nil
    }

    // MARK: Sending

    /// Sends bytes after those that are unsent.
    ///
    /// - Parameters:
    ///   - limit: the most bytes that may be unsent; nil for the rest of an answer. The first answer that a peer does not
    ///     take is queued whatever its size, which is bounded elsewhere: otherwise it could never be delivered.
    ///   - now: monotonic milliseconds, evaluated if something is left. The start of the turn is too early: encoding a
    ///     large answer may have taken long.
    func send(
        _ bytes: [UInt8],
        to connection: Int32,
        limit: Int?,
        now: @autoclosure () -> Int64
    ) -> Sent {
        if !backlogs.isEmpty, let backlog = backlogs[connection] {
            if let limit, backlog.queue.bytes + bytes.count > limit { return .failed(.slow) }
            unsent.append(bytes, sent: 0, to: &backlog.queue)
            return .some(isFirst: false)
        }
        let sent: Int
        switch unsafe bytes.withUnsafeBytes({ unsafe SystemCalls.send(connection, $0) }) {
        case .bytes(bytes.count): return .all
        case .bytes(let count): sent = count
        case .wouldBlock: sent = 0
        case .ended: return .failed(.gone)
        }
        guard !bytes.isEmpty else { return .all }
        let backlog = Backlog(at: now())
        unsent.append(bytes, sent: sent, to: &backlog.queue)
        backlogs[connection] = backlog
        return .some(isFirst: true)
    }

    /// Continues to send to a peer that has room again.
    func flush(_ connection: Int32, now: @autoclosure () -> Int64) -> Sent {
        guard let backlog = backlogs[connection] else { return .all }
        while !backlog.queue.isEmpty {
            let (outcome, offered) = unsafe backlog.queue.withNext(gatheredIn: room) { bytes in
                unsafe (SystemCalls.send(connection, bytes), bytes.count)
            }
            switch outcome {
            case .bytes(let count):
                unsent.remove(count, from: &backlog.queue)
                backlog.progressedAt = now()
                // The next edge reports that there is room again.
                if count < offered { return .some(isFirst: false) }
            case .wouldBlock: return .some(isFirst: false)
            case .ended: return .failed(.gone)
            }
        }
        backlogs[connection] = nil
        return .all
    }

    /// Discards the unsent bytes of this connection.
    func discard(_ connection: Int32) {
        guard !backlogs.isEmpty, let backlog = backlogs.removeValue(forKey: connection) else {
            return
        }
        unsent.removeAll(from: &backlog.queue)
    }

    // MARK: Handing over

    /// What a peer has not taken: pieces, how many bytes of the first are sent already, and when the peer last took
    /// something.
    struct Handed {
        var pieces: [[UInt8]]
        var sent: Int
        var progressedAt: Int64
    }

    /// Nil if a peer has taken everything.
    func handed(_ connection: Int32) -> Handed? {
        backlogs[connection].map { backlog in
            let (pieces, sent) = unsent.contents(of: backlog.queue)
            return Handed(pieces: pieces, sent: sent, progressedAt: backlog.progressedAt)
        }
    }

    /// Takes over what a peer has not taken.
    func resume(_ handed: Handed, _ connection: Int32) {
        let backlog = Backlog(at: handed.progressedAt)
        for (index, piece) in handed.pieces.enumerated() {
            unsent.append(piece, sent: index == 0 ? handed.sent : 0, to: &backlog.queue)
        }
        if !backlog.queue.isEmpty { backlogs[connection] = backlog }
    }

    // MARK: Bounds

    /// Whether any peer has unsent bytes.
    var isWaiting: Bool { !backlogs.isEmpty }

    /// Connections whose peers have taken nothing for this long.
    func stuck(milliseconds: Int64, now: Int64) -> [Int32] {
        backlogs.filter { now - $0.value.progressedAt > milliseconds }.map(\.key)
    }

    /// The connection whose peer has taken nothing for the longest time, if that is at least this long.
    func mostStuck(milliseconds: Int64, now: Int64) -> Int32? {
        let longest = backlogs.min { $0.value.progressedAt < $1.value.progressedAt }
        guard let longest, longest.value.progressedAt <= now - milliseconds else { return nil }
        return longest.key
    }

    /// The connections to close if all together have more than `limit` unsent bytes: those with most, until an eighth is
    /// free again, so that the search is not repeated for each answer. Of equals, the one whose peer has not read for the
    /// longest time. Never the last one: the bytes of one alone are bounded elsewhere.
    ///
    /// - Returns: the connections whose bytes are discarded, and which must be closed.
    func relieve(limit: Int) -> [Int32] {
        guard unsent.bytes > limit else { return [] }
        var holders = backlogs.map { (connection: $0.key, backlog: $0.value, share: 0) }
        for index in holders.indices {
            holders[index].share = unsent.share(of: holders[index].backlog.queue)
        }
        holders.sort {
            $0.share != $1.share
                ? $0.share > $1.share : $0.backlog.progressedAt < $1.backlog.progressedAt
        }
        var closed: [Int32] = []
        for holder in holders.dropLast() where unsent.bytes > limit - limit / 8 {
            discard(holder.connection)
            closed.append(holder.connection)
        }
        return closed
    }
}
