/// A queue of bytes, appended at the end and removed from the front, also line by line.
///
/// Removal moves nothing: memory is released when the queue is empty, or when the removed part is the larger part of a
/// large buffer. Each byte is examined once for the end of a line, however small the pieces in which it arrives.
package struct ByteQueue: Sendable {
    private var bytes: [UInt8] = []
    /// The index of the first remaining byte.
    private var start = 0
    /// The number of bytes from `start` on that are known to contain no line end.
    private var looked = 0

    /// The capacity that is kept while the queue is empty, and the number of removed bytes that may await release.
    private static let keptBytes = 65_536

    package init() {}

    package var count: Int { bytes.count - start }
    package var isEmpty: Bool { count == 0 }
    package var first: UInt8? { isEmpty ? nil : bytes[start] }

    package mutating func append(_ new: UnsafeRawBufferPointer) {
        makeRoom()
        unsafe bytes.append(contentsOf: new)
    }

    package mutating func append(_ new: [UInt8]) {
        makeRoom()
        bytes.append(contentsOf: new)
    }

    /// The first bytes, which remain in the queue; their indices begin anywhere.
    package func prefix(_ count: Int) -> ArraySlice<UInt8> { bytes[start...].prefix(count) }

    package mutating func take(_ count: Int) -> [UInt8] {
        let taken = Array(prefix(count))
        drop(taken.count)
        return taken
    }

    package mutating func drop(_ count: Int) {
        precondition(count <= self.count, "no more is dropped than is there")
        start += count
        looked = max(0, looked - count)
        if start == bytes.count {
            bytes.removeAll(keepingCapacity: bytes.capacity <= Self.keptBytes)
            start = 0
        }
    }

    /// The length of the first line without its end (LF); nil if its end has not arrived.
    package mutating func lineLength() -> Int? {
        guard let end = bytes[(start + looked)...].firstIndex(of: UInt8(ascii: "\n")) else {
            looked = count
            return nil
        }
        looked = end - start
        return looked
    }

    /// The first line without its end (LF); nil if its end has not arrived.
    package mutating func takeLine() -> [UInt8]? {
        guard let length = lineLength() else { return nil }
        let line = Array(prefix(length))
        drop(length + 1)
        return line
    }

    private mutating func makeRoom() {
        guard start > Self.keptBytes, start * 2 > bytes.count else { return }
        bytes.removeFirst(start)
        start = 0
    }
}
