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
/// earlier request left is before the position and is never read. The bytes are copied through the mapping, so that a
/// request costs `lseek` and `read`. Only the codec has the file, its pages are allocated when it is made, and it never
/// becomes shorter than the window: no access to the mapping can fail.
///
/// Reactor thread only.
@safe final class CodecInput {
    private var file: Int32
    private let window: UnsafeMutableRawBufferPointer

    static let windowBytes = 32_768

    init() throws(CodecError) {
        let made = unsafe try Codec.makeWindow(bytes: Self.windowBytes)
        unsafe (file, window) = unsafe (made.file, made.window)
    }

    deinit {
        _ = unsafe munmap(window.baseAddress, window.count)
        if file >= 0 { close(file) }
    }

    /// Puts a request at the end of the file, and the file's position at the request. `remove` follows.
    ///
    /// - Returns: the file; nil if there is no memory for the request.
    func put(_ records: UnsafeRawBufferPointer) -> Int32? {
        guard records.count <= Self.windowBytes else { return unsafe putLong(records) }
        let start = Self.windowBytes - records.count
        unsafe UnsafeMutableRawBufferPointer(rebasing: window[start...])
            .copyMemory(from: records)
        return lseek(file, start, SEEK_SET) == start ? file : nil
    }

    private func putLong(_ records: UnsafeRawBufferPointer) -> Int32? {
        guard ftruncate(file, records.count) == 0,
            unsafe pwrite(file, records.baseAddress, records.count, 0) == records.count
        else { return nil }
        return lseek(file, 0, SEEK_SET) == 0 ? file : nil
    }

    /// The request of this size is no longer needed: a long file becomes as short as the window again.
    func remove(byteCount: Int) {
        if byteCount > Self.windowBytes, file >= 0 { ftruncate(file, Self.windowBytes) }
    }

    /// libfcgi has refused a request, and closed the file.
    func wasClosed() { file = -1 }
}
