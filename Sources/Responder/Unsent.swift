internal import DequeModule

/// What peers have not taken yet, of all connections together: how much memory that is, and whose.
///
/// What several wait for is kept once, as it is when a message goes to thousands of streams or when many ask for the same
/// history; how far each has come is kept with each. So the sum counts what is in memory, and a share of what is shared is
/// what a connection costs. Reactor thread only.
struct Unsent {
    /// Encoded bytes that at least one connection waits for.
    fileprivate final class Piece {
        let bytes: [UInt8]
        /// Of equal bytes that were made more than once; nil for what is too short to be looked for.
        let hash: Int?
        var holders = 0

        init(_ bytes: [UInt8], hash: Int?) {
            self.bytes = bytes
            self.hash = hash
        }
    }

    /// Of one connection, in the order in which it goes out.
    struct Queue {
        fileprivate var pieces: Deque<Piece> = []
        /// Bytes of the first piece that have gone out.
        fileprivate var sent = 0
        /// Bytes that have not gone out.
        fileprivate var count = 0

        var isEmpty: Bool { count == 0 }
        var bytes: Int { count }
    }

    /// In memory: every piece once, and what it takes to keep it in a queue.
    private(set) var bytes = 0
    /// By where their bytes are: whoever gets the same answer gets the same array.
    private var byAddress: [UInt: Piece] = [:]
    private var byHash: [Int: Piece] = [:]

    /// Of a piece besides its bytes, and of a place in a queue.
    static let pieceOverhead = 128
    static let placeOverhead = 16
    /// Shorter ones that are equal but not the same are kept each; to look for them would cost more.
    static let comparedBytes = 4096

    /// Keeps bytes of which the first `sent` have gone out.
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

    /// So many bytes at the front have gone out.
    mutating func remove(_ count: Int, from queue: inout Queue) {
        queue.count -= count
        queue.sent += count
        while let piece = queue.pieces.first, queue.sent >= piece.bytes.count {
            queue.sent -= piece.bytes.count
            queue.pieces.removeFirst()
            release(piece)
        }
        // With what a deque that was long once would keep.
        if queue.pieces.isEmpty { queue = Queue() }
    }

    mutating func removeAll(from queue: inout Queue) {
        for piece in queue.pieces { release(piece) }
        queue = Queue()
    }

    /// What this connection costs: of what it shares with others, its share.
    func share(of queue: Queue) -> Int {
        queue.pieces.reduce(0) {
            $0 + ($1.bytes.count + Self.pieceOverhead) / $1.holders + Self.placeOverhead
        }
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

    /// Nobody else's while the piece has the array.
    private static func address(of bytes: [UInt8]) -> UInt {
        unsafe bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    }
}

extension Unsent.Queue {
    /// Lends the bytes that go out next: the rest of the first piece or, where pieces are short, several of them gathered
    /// in `room`.
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
