internal import FastCGI
internal import Text

/// A request as `Codec.sort` and `divide` have split it. Valid until the codec sorts the next one.
@safe package struct SortedRequest {
    /// The common variables, as a request without a body.
    let records: UnsafeRawBufferPointer
    /// The same variables, as name-value pairs.
    package let common: UnsafeRawBufferPointer
    /// The other used variables, as name-value pairs.
    fileprivate let particulars: UnsafeRawBufferPointer

    fileprivate init(
        records: UnsafeRawBufferPointer,
        pairs: Int,
        particulars: UnsafeRawBufferPointer
    ) {
        unsafe self.records = unsafe records
        unsafe common = UnsafeRawBufferPointer(
            rebasing: records[RequestSorter.pairsStart..<RequestSorter.pairsStart + pairs]
        )
        unsafe self.particulars = unsafe particulars
    }

    /// Visits the variables that are not common, in the order sent, and then the parts of divided ones, with the names of
    /// these: from the first that is not empty on, also those that are.
    package func forEachParticular(
        _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
    ) {
        _ = unsafe NameValuePairs.forEach(in: particulars, body)
    }
}

/// Splits requests, by the names of their variables, into two buffers that it reuses.
///
/// Unused variables are left out: each costs libfcgi as much as a used one, and most header fields of a browser are
/// unused.
///
/// Reactor thread only.
@safe final class RequestSorter {
    /// A request of common variables:
    /// ```
    ///   0               16      24            …
    ///   [BEGIN_REQUEST ][PARAMS: pairs       ][PARAMS, empty] …
    /// ```
    private let draft = UnsafeMutableRawBufferPointer.allocate(
        byteCount: CodecInput.windowBytes,
        alignment: 16
    )
    /// Name-value pairs.
    private let particulars = UnsafeMutableRawBufferPointer.allocate(
        byteCount: CodecInput.windowBytes,
        alignment: 16
    )

    /// Where in the draft the pairs of divided variables are.
    private var divided: ContiguousArray<Int> = []

    private static let header = 2 * RecordHeader.byteCount
    static let pairsStart = header + RecordHeader.byteCount

    deinit {
        unsafe draft.deallocate()
        unsafe particulars.deallocate()
    }

    /// Nil if the request is long, its variables are in several records, or none of them is common. An empty record
    /// would be the end of the variables.
    func sort(
        _ records: UnsafeRawBufferPointer,
        _ use: (UnsafeRawBufferPointer) -> VariableUse
    ) -> SortedRequest? {
        guard records.count <= CodecInput.windowBytes,
            let (pairs, rest) = unsafe Self.pairs(of: records)
        else { return nil }
        var common = Run(end: Self.pairsStart)
        var other = Run(end: 0)
        divided.removeAll(keepingCapacity: true)
        var at = pairs.lowerBound
        while at < pairs.upperBound {
            let pair = at
            guard let name = unsafe NameValuePairs.length(in: records, at: &at),
                let value = unsafe NameValuePairs.length(in: records, at: &at),
                name + value <= pairs.upperBound - at
            else { return nil }
            let use = unsafe use(UnsafeRawBufferPointer(rebasing: records[at..<at + name]))
            at += name + value
            switch use {
            case .unused: break
            case .common: unsafe common.take(pair..<at, of: records, to: draft)
            case .divided:
                unsafe common.take(pair..<at, of: records, to: draft)
                divided.append(common.end + common.waiting.count - (at - pair))
            case .particular: unsafe other.take(pair..<at, of: records, to: particulars)
            }
        }
        unsafe common.flush(records, to: draft)
        unsafe other.flush(records, to: particulars)
        guard common.end > Self.pairsStart else { return nil }
        unsafe draft.copyMemory(from: UnsafeRawBufferPointer(rebasing: records[..<Self.pairsStart]))
        // No padding.
        unsafe draft[Self.header + 6] = 0
        unsafe UnsafeMutableRawBufferPointer(rebasing: draft[common.end...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: records[rest...]))
        return sorted(
            pairs: common.end - Self.pairsStart,
            rest: records.count - rest,
            particulars: other.end
        )
    }

    /// Parts go from the draft to the particulars. What remains of a pair keeps the form of its lengths, so that none
    /// becomes longer: the buffers have room for all.
    func divide(
        _ old: SortedRequest,
        _ part: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Range<Int>
    ) -> SortedRequest? {
        var end = unsafe old.records.count
        var other = unsafe old.particulars.count
        var removed = 0
        for place in divided {
            let pair = unsafe Pair(in: draft, at: place - removed)
            let part = unsafe part(
                UnsafeRawBufferPointer(rebasing: draft[pair.name]),
                UnsafeRawBufferPointer(rebasing: draft[pair.value])
            )
            guard !part.isEmpty || removed > 0 else { continue }
            let start = pair.value.lowerBound
            let bytes = start + part.lowerBound..<start + part.upperBound
            let copied = unsafe Pair(in: particulars, at: other, copying: pair, of: draft)
            unsafe copied.setValueLength(part.count, in: particulars)
            other = copied.value.lowerBound
            unsafe UnsafeMutableRawBufferPointer(rebasing: particulars[other...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: draft[bytes]))
            other += part.count
            unsafe pair.setValueLength(pair.value.count - part.count, in: draft)
            unsafe UnsafeMutableRawBufferPointer(rebasing: draft[bytes.lowerBound...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: draft[bytes.upperBound..<end]))
            end -= part.count
            removed += part.count
        }
        guard removed > 0 else { return nil }
        let rest = unsafe old.records.count - Self.pairsStart - old.common.count
        return sorted(
            pairs: unsafe old.common.count - removed,
            rest: rest,
            particulars: other
        )
    }

    /// What the buffers hold; `rest` bytes follow the record of the pairs.
    private func sorted(pairs: Int, rest: Int, particulars other: Int) -> SortedRequest {
        unsafe draft[Self.header + 4] = UInt8(pairs >> 8)
        unsafe draft[Self.header + 5] = UInt8(truncatingIfNeeded: pairs)
        return unsafe SortedRequest(
            records: UnsafeRawBufferPointer(rebasing: draft[..<(Self.pairsStart + pairs + rest)]),
            pairs: pairs,
            particulars: UnsafeRawBufferPointer(rebasing: particulars[..<other])
        )
    }

    /// Where a pair's name and value are in a buffer.
    private struct Pair {
        private let start: Int
        private let valueLength: Int
        let name: Range<Int>
        let value: Range<Int>

        /// One that is there: its lengths add up.
        init(in buffer: UnsafeMutableRawBufferPointer, at start: Int) {
            var at = start
            let bytes = UnsafeRawBufferPointer(buffer)
            let name = unsafe NameValuePairs.length(in: bytes, at: &at) ?? 0
            valueLength = at
            let value = unsafe NameValuePairs.length(in: bytes, at: &at) ?? 0
            self.start = start
            self.name = at..<at + name
            self.value = self.name.upperBound..<self.name.upperBound + value
        }

        /// Copies lengths and name of another one; the value is not there yet.
        init(
            in buffer: UnsafeMutableRawBufferPointer,
            at start: Int,
            copying other: Pair,
            of source: UnsafeMutableRawBufferPointer
        ) {
            unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[start...]).copyMemory(
                from: UnsafeRawBufferPointer(
                    rebasing: source[other.start..<other.value.lowerBound]
                )
            )
            unsafe self.init(in: buffer, at: start)
        }

        /// In as many bytes as before.
        func setValueLength(_ length: Int, in buffer: UnsafeMutableRawBufferPointer) {
            if name.lowerBound - valueLength == 1 {
                unsafe buffer[valueLength] = UInt8(length)
            } else {
                let word = UInt32(length) | 0x8000_0000
                unsafe buffer.storeBytes(
                    of: word.bigEndian,
                    toByteOffset: valueLength,
                    as: UInt32.self
                )
            }
        }
    }

    /// The position of the pairs, and what follows their record; nil unless they are in one record.
    private static func pairs(
        of records: UnsafeRawBufferPointer
    ) -> (pairs: Range<Int>, rest: Int)? {
        guard records.count >= pairsStart + RecordHeader.byteCount else { return nil }
        let params = unsafe RecordHeader(records, at: header)
        let rest = header + params.recordLength
        guard params.type == Record.params, params.contentLength > 0,
            rest + RecordHeader.byteCount <= records.count
        else { return nil }
        let next = unsafe RecordHeader(records, at: rest)
        guard next.type == Record.params, next.contentLength == 0 else { return nil }
        return (pairsStart..<pairsStart + params.contentLength, rest)
    }

    /// Pairs on their way to a buffer: adjacent ones are copied together.
    private struct Run {
        var waiting = 0..<0
        var end: Int

        mutating func take(
            _ pair: Range<Int>,
            of records: UnsafeRawBufferPointer,
            to buffer: UnsafeMutableRawBufferPointer
        ) {
            if pair.lowerBound == waiting.upperBound {
                waiting = waiting.lowerBound..<pair.upperBound
            } else {
                unsafe flush(records, to: buffer)
                waiting = pair
            }
        }

        mutating func flush(
            _ records: UnsafeRawBufferPointer,
            to buffer: UnsafeMutableRawBufferPointer
        ) {
            guard !waiting.isEmpty else { return }
            unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[end...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: records[waiting]))
            end += waiting.count
        }
    }
}
