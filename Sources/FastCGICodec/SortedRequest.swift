internal import FastCGI

/// A request as `Codec.sort` has split it. Valid until the codec sorts the next one.
@safe package struct SortedRequest {
    /// The common variables, as a request without a body.
    let records: UnsafeRawBufferPointer
    /// The same variables, as name-value pairs.
    package let common: UnsafeRawBufferPointer
    /// The other used variables, as name-value pairs.
    private let particulars: UnsafeRawBufferPointer

    init(records: UnsafeRawBufferPointer, pairs: Int, particulars: UnsafeRawBufferPointer) {
        unsafe self.records = unsafe records
        unsafe common = UnsafeRawBufferPointer(
            rebasing: records[RequestSorter.pairsStart..<RequestSorter.pairsStart + pairs]
        )
        unsafe self.particulars = unsafe particulars
    }

    /// Visits the variables that are not common, in the order sent.
    package func forEachParticular(
        _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
    ) {
        _ = unsafe NameValuePairs.forEach(in: particulars, body)
    }
}

/// How a variable is used.
package enum VariableUse {
    case unused
    /// Many requests have it in common.
    case common
    case particular
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
            case .particular: unsafe other.take(pair..<at, of: records, to: particulars)
            }
        }
        unsafe common.flush(records, to: draft)
        unsafe other.flush(records, to: particulars)
        guard common.end > Self.pairsStart else { return nil }
        unsafe draft.copyMemory(from: UnsafeRawBufferPointer(rebasing: records[..<Self.pairsStart]))
        let length = common.end - Self.pairsStart
        unsafe draft[Self.header + 4] = UInt8(length >> 8)
        unsafe draft[Self.header + 5] = UInt8(truncatingIfNeeded: length)
        // No padding.
        unsafe draft[Self.header + 6] = 0
        unsafe UnsafeMutableRawBufferPointer(rebasing: draft[common.end...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: records[rest...]))
        let end = common.end + records.count - rest
        return unsafe SortedRequest(
            records: UnsafeRawBufferPointer(rebasing: draft[..<end]),
            pairs: length,
            particulars: UnsafeRawBufferPointer(rebasing: particulars[..<other.end])
        )
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
