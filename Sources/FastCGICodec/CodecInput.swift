internal import CLinux
internal import FastCGI
internal import Glibc

/// The file from which libfcgi reads: always one request, at the file's end.
///
/// ```
///   window, mapped: 0 ……………………………… 32768
///   a request:                 [records]│ end of file; the position is at the first record
///   one that is larger:    [records ……………………│……] the file is as long as it
/// ```
/// libfcgi reads pieces of a fixed size, and so takes a short request with one read, which ends with the file: what an
/// earlier request left lies in front of the position and is never read. The bytes are copied through the mapping,
/// so that a request costs `lseek` and `read`. Only the codec has the file, its pages are allocated when it is made, and
/// it never becomes shorter than the window: no access to the mapping can fail.
///
/// Variables that nobody wants are left out on the way: each costs libfcgi as much as one that is used, and most header
/// fields of a browser are such.
///
/// Reactor thread only.
@safe final class CodecInput {
    private var file: Int32
    private let window: UnsafeMutableRawBufferPointer
    /// A request without some of its variables.
    private let draft = UnsafeMutableRawBufferPointer.allocate(
        byteCount: windowBytes,
        alignment: 16
    )

    static let windowBytes = 32_768

    init() throws(CodecError) {
        let made = unsafe try Codec.makeWindow(bytes: Self.windowBytes)
        unsafe (file, window) = unsafe (made.file, made.window)
    }

    deinit {
        unsafe draft.deallocate()
        _ = unsafe munmap(window.baseAddress, window.count)
        if file >= 0 { close(file) }
    }

    /// Puts a request at the end of the file, and the file's position at the request. `remove` follows.
    ///
    /// - Parameter isWanted: whether a variable of this name is of use; others are left out where that is easy.
    /// - Returns: the file; nil if there is no memory for the request.
    func put(
        _ records: UnsafeRawBufferPointer,
        wanting isWanted: (UnsafeRawBufferPointer) -> Bool = { _ in true }
    ) -> Int32? {
        guard records.count <= Self.windowBytes else { return unsafe putLong(records) }
        let wanted = unsafe draft(records, isWanted) ?? records
        let start = Self.windowBytes - wanted.count
        unsafe UnsafeMutableRawBufferPointer(rebasing: window[start...])
            .copyMemory(from: wanted)
        return lseek(file, start, SEEK_SET) == start ? file : nil
    }

    /// The request without the variables that are not wanted; nil where all are, or where they are in several records.
    /// ```
    ///   0               16      24              …
    ///   [BEGIN_REQUEST ][PARAMS: pairs, padding][PARAMS, empty] …
    /// ```
    private func draft(
        _ records: UnsafeRawBufferPointer,
        _ isWanted: (UnsafeRawBufferPointer) -> Bool
    ) -> UnsafeRawBufferPointer? {
        let header = 2 * RecordHeader.byteCount
        let start = header + RecordHeader.byteCount
        guard records.count >= start + RecordHeader.byteCount else { return nil }
        let params = unsafe RecordHeader(records, at: header)
        let rest = header + params.recordLength
        guard params.type == Record.params, params.contentLength > 0,
            rest + RecordHeader.byteCount <= records.count
        else {
            return nil
        }
        let next = unsafe RecordHeader(records, at: rest)
        guard next.type == Record.params, next.contentLength == 0 else { return nil }

        let end = start + params.contentLength
        // In as few pieces as there are gaps.
        var (length, copied, pair) = (0, 0, start)
        while pair < end {
            var at = pair
            guard let name = unsafe NameValuePairs.length(in: records, at: &at),
                let value = unsafe NameValuePairs.length(in: records, at: &at),
                name + value <= end - at
            else { return nil }
            let next = at + name + value
            if unsafe !isWanted(UnsafeRawBufferPointer(rebasing: records[at..<at + name])) {
                unsafe copy(records[copied..<pair], to: length)
                length += pair - copied
                copied = next
            }
            pair = next
        }
        guard copied > 0 else { return nil }
        unsafe copy(records[copied..<end], to: length)
        length += end - copied
        // An empty record would be the end of the variables.
        guard length > start else { return nil }
        unsafe draft[header + 4] = UInt8((length - start) >> 8)
        unsafe draft[header + 5] = UInt8(truncatingIfNeeded: length - start)
        // No padding.
        unsafe draft[header + 6] = 0
        unsafe copy(records[rest...], to: length)
        return unsafe UnsafeRawBufferPointer(
            rebasing: draft[..<(length + records.count - rest)]
        )
    }

    private func copy(_ piece: Slice<UnsafeRawBufferPointer>, to place: Int) {
        unsafe UnsafeMutableRawBufferPointer(rebasing: draft[place...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: piece))
    }

    private func putLong(_ records: UnsafeRawBufferPointer) -> Int32? {
        guard ftruncate(file, records.count) == 0,
            unsafe pwrite(file, records.baseAddress, records.count, 0) == records.count
        else { return nil }
        return lseek(file, 0, SEEK_SET) == 0 ? file : nil
    }

    /// The request of this size is not needed any more: a long file becomes as short as the window again.
    func remove(byteCount: Int) {
        if byteCount > Self.windowBytes, file >= 0 { ftruncate(file, Self.windowBytes) }
    }

    /// libfcgi has refused a request, and closed the file.
    func wasClosed() { file = -1 }
}
