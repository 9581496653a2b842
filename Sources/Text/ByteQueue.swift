/// Bytes that are put in at the end and taken out at the front, also line by line.
///
/// Taking out moves nothing: what is gone is given up when all is gone, or when it is the larger part of much. Each byte is
/// looked at once for the end of a line, however small the parts it came in.
package struct ByteQueue: Sendable {
    private var bytes: [UInt8] = []
    /// Where what is left begins.
    private var start = 0
    /// So many bytes from `start` on have no line end among them.
    private var looked = 0

    /// Room that is kept though nothing is in it, and what may be gone without being given up.
    private static let keptBytes = 65_536

    package init() {}

    package var count: Int { bytes.count - start }
    package var isEmpty: Bool { count == 0 }

    package mutating func append(_ new: UnsafeRawBufferPointer) {
        makeRoom()
        unsafe bytes.append(contentsOf: new)
    }

    package mutating func append(_ new: [UInt8]) {
        makeRoom()
        bytes.append(contentsOf: new)
    }

    /// The bytes in front, still in the queue; their indices begin anywhere.
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

    /// How long the line in front is without its end (LF); nil where its end has not come.
    package mutating func lineLength() -> Int? {
        guard let end = bytes[(start + looked)...].firstIndex(of: UInt8(ascii: "\n")) else {
            looked = count
            return nil
        }
        looked = end - start
        return looked
    }

    /// The line in front without its end (LF); nil where its end has not come.
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
