internal import DequeModule

/// The unsent bytes of all connections: how much memory they take, and for which connections.
///
/// Bytes that several connections wait for are kept once, such as a message to thousands of streams, or a history that
/// many ask for; each connection has its own position in them. The sum counts memory, and a connection costs its share of
/// what is shared. Reactor thread only.
struct Unsent {
    /// Encoded bytes that at least one connection waits for.
    fileprivate final class Piece {
        let bytes: [UInt8]
        /// The hash by which equal bytes that were encoded twice are found; nil if they are too short for the search.
        let hash: Int?
        var holders = 0

        init(_ bytes: [UInt8], hash: Int?) {
            self.bytes = bytes
            self.hash = hash
        }
    }

    /// The pieces of one connection, in the order of sending.
    struct Queue {
        fileprivate var pieces: Deque<Piece> = []
        /// The bytes of the first piece that were sent.
        fileprivate var sent = 0
        /// The number of unsent bytes.
        fileprivate var count = 0

        var isEmpty: Bool { count == 0 }
        var bytes: Int { count }
    }

    /// The memory: every piece once, and its places in queues.
    private(set) var bytes = 0
    /// By the address of their bytes: the same answer is the same array for all.
    private var byAddress: [UInt: Piece] = [:]
    private var byHash: [Int: Piece] = [:]

    /// The memory of a piece besides its bytes, and of a place in a queue.
    static let pieceOverhead = 128
    static let placeOverhead = 16
    /// Shorter equal pieces are kept separately; searching for them would cost more.
    static let comparedBytes = 4096

    /// Queues bytes of which the first `sent` were sent.
    mutating func append(_ bytes: [UInt8], sent: Int, to queue: inout Queue) {
        guard sent < bytes.count else { return }
        let piece = piece(bytes)
        if piece.holders == 0 { self.bytes += bytes.count + Self.pieceOverhead }
        piece.holders += 1
        self.bytes += Self.placeOverhead
        if queue.isEmpty { queue.sent = sent }
        queue.pieces.append(piece)
        queue.count += bytes.count - sent
    }

    /// Records that this many bytes at the front were sent.
    mutating func remove(_ count: Int, from queue: inout Queue) {
        queue.count -= count
        queue.sent += count
        while let piece = queue.pieces.first, queue.sent >= piece.bytes.count {
            queue.sent -= piece.bytes.count
            queue.pieces.removeFirst()
            release(piece)
        }
        // A deque that was long once would keep its memory.
        if queue.pieces.isEmpty { queue = Queue() }
    }

    mutating func removeAll(from queue: inout Queue) {
        for piece in queue.pieces { release(piece) }
        queue = Queue()
    }

    /// The memory that this connection costs, including its share of shared pieces.
    func share(of queue: Queue) -> Int {
        queue.pieces.reduce(0) {
            $0 + ($1.bytes.count + Self.pieceOverhead) / $1.holders + Self.placeOverhead
        }
    }

    /// The pieces of one connection: equal arrays have the same bytes in memory. `sent` bytes of the first are sent.
    func contents(of queue: Queue) -> (pieces: [[UInt8]], sent: Int) {
        (queue.pieces.map(\.bytes), queue.sent)
    }

    private mutating func piece(_ bytes: [UInt8]) -> Piece {
        let address = Self.address(of: bytes)
        if let same = byAddress[address] { return same }
        var hash: Int?
        if bytes.count >= Self.comparedBytes {
            var hasher = Hasher()
            unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
            let value = hasher.finalize()
            if let equal = byHash[value] {
                if equal.bytes == bytes { return equal }
            } else {
                hash = value
            }
        }
        let piece = Piece(bytes, hash: hash)
        byAddress[address] = piece
        if let hash { byHash[hash] = piece }
        return piece
    }

    private mutating func release(_ piece: Piece) {
        bytes -= Self.placeOverhead
        piece.holders -= 1
        guard piece.holders == 0 else { return }
        bytes -= piece.bytes.count + Self.pieceOverhead
        byAddress[Self.address(of: piece.bytes)] = nil
        if let hash = piece.hash { byHash[hash] = nil }
    }

    /// Unique while the piece keeps the array.
    private static func address(of bytes: [UInt8]) -> UInt {
        unsafe bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    }
}

extension Unsent.Queue {
    /// Lends the bytes to send next: the rest of the first piece or, if pieces are short, several of them gathered in
    /// `room`.
    func withNext<Result>(
        gatheredIn room: UnsafeMutableRawBufferPointer,
        _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        let first = pieces[0].bytes
        guard first.count - sent < room.count / 4, pieces.count > 1 else {
            return unsafe first.withUnsafeBytes { bytes in
                unsafe body(UnsafeRawBufferPointer(rebasing: bytes[sent...]))
            }
        }
        var filled = 0
        var skipped = sent
        for piece in pieces {
            let part = piece.bytes[skipped...].prefix(room.count - filled)
            guard !part.isEmpty else { break }
            unsafe UnsafeMutableRawBufferPointer(rebasing: room[filled...]).copyBytes(from: part)
            filled += part.count
            skipped = 0
        }
        return unsafe body(UnsafeRawBufferPointer(rebasing: room[..<filled]))
    }
}
