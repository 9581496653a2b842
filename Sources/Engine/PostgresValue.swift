/// An argument of a statement, in PostgreSQL's binary form (big-endian).
package enum PostgresValue: Sendable {
    case text(String)
    case bytes([UInt8])
    case integer(Int64)
    case smallInteger(Int32)
    case integers([Int64])
    case smallIntegers([Int32])
    case byteArrays([[UInt8]?])
    case texts([String])

    /// Object identifiers of pg_type, which never change.
    private enum ObjectID {
        static let bytea: UInt32 = 17
        static let int8: UInt32 = 20
        static let int4: UInt32 = 23
        static let text: UInt32 = 25
    }

    var encoded: [UInt8] {
        switch self {
        case .text(let text): return Array(text.utf8)
        case .bytes(let bytes): return bytes
        case .integer(let number): return Self.bigEndian(number)
        case .smallInteger(let number): return Self.bigEndian(number)
        case .integers(let numbers):
            return Self.array(of: ObjectID.int8, numbers.map { Self.bigEndian($0) })
        case .smallIntegers(let numbers):
            return Self.array(of: ObjectID.int4, numbers.map { Self.bigEndian($0) })
        case .byteArrays(let elements): return Self.array(of: ObjectID.bytea, elements)
        case .texts(let texts): return Self.array(of: ObjectID.text, texts.map { Array($0.utf8) })
        }
    }

    /// `dimensions · has nulls · element type · count · lower bound`, each four bytes, then each element's length (-1: null)
    /// and bytes.
    private static func array(of type: UInt32, _ elements: [[UInt8]?]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(20 + elements.reduce(0) { $0 + 4 + ($1?.count ?? 0) })
        bytes += bigEndian(Int32(elements.isEmpty ? 0 : 1))
        bytes += bigEndian(Int32(elements.contains { $0 == nil } ? 1 : 0))
        bytes += bigEndian(type)
        if elements.isEmpty { return bytes }
        bytes += bigEndian(Int32(elements.count))
        bytes += bigEndian(Int32(1))
        for element in elements {
            bytes += bigEndian(Int32(element?.count ?? -1))
            if let element { bytes += element }
        }
        return bytes
    }

    static func bigEndian(_ number: some FixedWidthInteger) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: number)
        return bytes
    }
}

extension [UInt8] {
    mutating func append(bigEndian number: some FixedWidthInteger) {
        var shift = number.bitWidth - 8
        while shift >= 0 {
            append(UInt8(truncatingIfNeeded: number >> shift))
            shift -= 8
        }
    }
}

/// Reads big-endian numbers and ranges of bytes, front to back; nil at the end of the bytes.
struct BinaryReader {
    private let bytes: ArraySlice<UInt8>
    private var at: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        at = bytes.startIndex
    }

    var isAtEnd: Bool { at == bytes.endIndex }

    mutating func number<Number: FixedWidthInteger>(_: Number.Type) -> Number? {
        let size = Number.bitWidth / 8
        guard bytes.endIndex - at >= size else { return nil }
        defer { at += size }
        return bytes[at..<at + size].reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
    }

    /// The bytes that have not been taken.
    var rest: ArraySlice<UInt8> { bytes[at...] }

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, bytes.endIndex - at >= count else { return nil }
        defer { at += count }
        return bytes[at..<at + count]
    }
}

/// The rows of an answer, copied.
package struct PostgresRows: Sendable {
    package let rows: [[[UInt8]?]]

    package var count: Int { rows.count }

    package func bytes(_ row: Int, _ column: Int) throws(PostgresError) -> [UInt8] {
        guard row < rows.count, column < rows[row].count, let value = rows[row][column] else {
            throw .malformed
        }
        return value
    }

    package func isNull(_ row: Int, _ column: Int) -> Bool {
        row < rows.count && column < rows[row].count && rows[row][column] == nil
    }

    package func text(_ row: Int, _ column: Int) throws(PostgresError) -> String {
        String(decoding: try bytes(row, column), as: UTF8.self)
    }

    /// A bigint, int or boolean.
    package func integer(_ row: Int, _ column: Int) throws(PostgresError) -> Int64 {
        let bytes = try bytes(row, column)
        var reader = BinaryReader(bytes[...])
        switch bytes.count {
        case 8: return reader.number(Int64.self) ?? 0
        case 4: return Int64(reader.number(Int32.self) ?? 0)
        case 1: return Int64(bytes[0])
        default: throw .malformed
        }
    }

    /// A one-dimensional array, its elements in binary form; nil: null.
    package func array(_ row: Int, _ column: Int) throws(PostgresError) -> [[UInt8]?] {
        let bytes = try bytes(row, column)
        var reader = BinaryReader(bytes[...])
        guard let dimensions = reader.number(Int32.self), reader.number(Int32.self) != nil,
            reader.number(UInt32.self) != nil
        else { throw .malformed }
        if dimensions == 0 { return [] }
        guard dimensions == 1, let count = reader.number(Int32.self), count >= 0,
            reader.number(Int32.self) != nil
        else { throw .malformed }
        var elements: [[UInt8]?] = []
        for _ in 0..<count {
            guard let length = reader.number(Int32.self) else { throw .malformed }
            if length < 0 {
                elements.append(nil)
                continue
            }
            guard let element = reader.take(Int(length)) else { throw .malformed }
            elements.append(Array(element))
        }
        return elements
    }

    package func integers(_ row: Int, _ column: Int) throws(PostgresError) -> [Int64?] {
        var numbers: [Int64?] = []
        for element in try array(row, column) {
            guard let element else {
                numbers.append(nil)
                continue
            }
            var reader = BinaryReader(element[...])
            guard element.count == 8, let number = reader.number(Int64.self) else {
                throw .malformed
            }
            numbers.append(number)
        }
        return numbers
    }
}
