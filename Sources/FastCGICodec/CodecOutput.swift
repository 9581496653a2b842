internal import CLibFCGI
internal import CLinux
internal import Glibc

/// The output side of libfcgi: a request that stays open for ever, and the file to which its standard output goes.
///
/// ```
///   window, mapped: 0 ……………………………… 65536
///   [records][records][records]│ position; what is written next is read from the mapping
///   where no room is left, the position goes back to 0
/// ```
/// So records cost `write` alone. Only the codec has the file, and it never becomes shorter than the window: no access to
/// the mapping can fail.
///
/// Reactor thread only.
@safe final class CodecOutput {
    private let request: UnsafeMutablePointer<FCGX_Request>
    private let file: Int32
    private let window: UnsafeMutableRawBufferPointer
    /// Where libfcgi writes next.
    private var position = 0
    /// It has failed, and the request cannot be used any more.
    private var isBroken = false

    static let windowBytes = 65_536
    /// The file is truncated after use if it is larger than this.
    private static let keptFileBytes = 262_144

    /// - Parameter template: an empty request.
    init(_ template: [UInt8]) throws(CodecError) {
        let made = unsafe try Codec.makeWindow(bytes: Self.windowBytes)
        unsafe (file, window) = unsafe (made.file, made.window)
        unsafe request = .allocate(capacity: 1)
        unsafe request.initialize(to: FCGX_Request())
        unsafe FCGX_InitRequest(request, -1, 0)
        unsafe request.pointee.ipcFd = -1
        try open(template)
    }

    private func open(_ template: [UInt8]) throws(CodecError) {
        let input = try CodecInput()
        guard let source = unsafe template.withUnsafeBytes({ unsafe input.put($0) }) else {
            throw CodecError(call: "lseek", code: errno)
        }
        unsafe request.pointee.ipcFd = source
        unsafe request.pointee.keepConnection = 1
        unsafe request.pointee.detached = 1
        let status = unsafe FCGX_Accept_r(request)
        if status != 0 { input.wasClosed() }
        unsafe request.pointee.ipcFd = -1
        guard status == 0 else { throw CodecError(call: "FCGX_Accept_r", code: ENOMEM) }
        unsafe request.pointee.ipcFd = file
    }

    deinit {
        unsafe FCGX_Free(request, 0)
        unsafe request.deinitialize(count: 1)
        unsafe request.deallocate()
        _ = unsafe munmap(window.baseAddress, window.count)
        close(file)
    }

    /// Content as STDOUT records of request 1.
    ///
    /// - Returns: nil if libfcgi fails, now or earlier.
    func records(of content: [UInt8]) -> [UInt8]? {
        guard !isBroken else { return nil }
        // Records are at most a header and seven bytes of padding longer, and all but the last hold at least 4 kB.
        let room = content.count + (content.count / 4096 + 2) * 16
        if position + room > Self.windowBytes {
            guard lseek(file, 0, SEEK_SET) == 0 else { return fail() }
            position = 0
        }
        guard put(content), unsafe FCGX_FFlush(request.pointee.out) == 0 else { return fail() }
        return room <= Self.windowBytes ? taken(content.count) : takenLong()
    }

    private func fail() -> [UInt8]? {
        isBroken = true
        return nil
    }

    private func put(_ content: [UInt8]) -> Bool {
        unsafe content.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress, let count = Int32(exactly: bytes.count) else {
                return false
            }
            return unsafe FCGX_PutStr(
                start.assumingMemoryBound(to: CChar.self),
                count,
                request.pointee.out
            ) == count
        }
    }

    /// The records from `position` on that hold this much content.
    private func taken(_ content: Int) -> [UInt8]? {
        let start = position
        var left = content
        var end = start
        while left > 0, end + 8 <= Self.windowBytes {
            // FastCGI 1.0 §3.3: version, type, id, content length, padding length.
            let high = unsafe Int(window[end + 4])
            let length = unsafe high << 8 | Int(window[end + 5])
            let padding = unsafe Int(window[end + 6])
            guard unsafe window[end] == 1, length > 0, length <= left else { return fail() }
            left -= length
            end += 8 + length + padding
        }
        guard left == 0, end <= Self.windowBytes else { return fail() }
        position = end
        return unsafe [UInt8](UnsafeRawBufferPointer(rebasing: window[start..<end]))
    }

    /// Content for which the window has no room.
    private func takenLong() -> [UInt8]? {
        let count = Int(lseek(file, 0, SEEK_CUR))
        guard count >= 0 else { return fail() }
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = max(unsafe pread(file, buffer.baseAddress, count, 0), 0)
        }
        if count > Self.keptFileBytes { ftruncate(file, Self.windowBytes) }
        // The next one begins at 0.
        position = Self.windowBytes
        return bytes.count == count ? bytes : fail()
    }
}
