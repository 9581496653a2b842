internal import CLibFCGI
internal import CLinux
package import FastCGI
internal import Glibc
internal import System

/// Why the codec cannot be created.
package struct CodecError: Error, CustomStringConvertible {
    package let call: String
    package let code: Int32

    package var description: String {
        let reason = SystemError.sentence(of: code)
        return "cannot prepare libfcgi: \(call): \(reason)"
    }
}

/// libfcgi, for what it is good at: turning records into variables and documents into records.
///
/// It never sees a client's descriptor. It reads validated records from one memfd (`CodecInput`) and writes records to
/// another, so that it cannot wait, linger or close anything but these two. The rules that it requires:
/// - `FCGX_Accept_r` takes a preset `ipcFd` if `keepConnection` is 1 (else it closes it first) and `detached`
///   is 1 (else closing lingers), both set anew each time; with no listening socket a failure returns.
/// - Its streams point back to the `FCGX_Request`: that one stays at one address for life.
/// - Where it refuses a request it has closed the descriptor: a new memfd takes its place.
///
/// Reactor thread only.
@safe package final class Codec {
    /// Requests that libfcgi did not take, and documents that it did not write; 0 unless memory is short.
    package private(set) var refusals = 0

    private let request: UnsafeMutablePointer<FCGX_Request>
    /// Nil where libfcgi has closed it, until the next request.
    private var input: CodecInput?
    private let output: Int32
    private let template: [UInt8]
    /// Recently written small documents, and parts of documents. Clients that poll an unchanged channel all get the
    /// same document, as all streams get the same heartbeat, and libfcgi takes eight system calls to write it.
    private var recent: [Document: EncodedAnswer] = [:]
    /// Hashed in one piece, whereas an array is hashed byte by byte.
    private struct Document: Hashable {
        let bytes: [UInt8]
        let isPart: Bool

        func hash(into hasher: inout Hasher) {
            unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        }
    }

    private static let recentLimit = 64
    private static let recentBytes = 2048

    /// The output file is truncated after use if it is larger than this.
    private static let keptFileBytes = 262_144

    package init() throws(CodecError) {
        if let failure = Codec.libraryFailure { throw failure }
        input = try CodecInput()
        output = try Codec.makeFile()
        unsafe request = .allocate(capacity: 1)
        unsafe request.initialize(to: FCGX_Request())
        unsafe FCGX_InitRequest(request, -1, 0)
        template = Record.request(id: .first, keepConnection: true, variables: [])
    }

    deinit {
        unsafe request.deinitialize(count: 1)
        unsafe request.deallocate()
        close(output)
    }

    /// Lends the request's variables and body, as libfcgi read them, for the duration of the call.
    ///
    /// Nil if libfcgi refuses; `refusals` counts it.
    package func decode<T>(
        _ framed: FramedRequest,
        _ body: (borrowing DecodedRequest) -> T
    ) -> T? {
        unsafe accept(framed.records) {
            body(unsafe DecodedRequest(request: request, bodyBytes: framed.bodyBytes))
        }
    }

    /// Encodes one CGI document (headers, blank line, body) as a complete answer: STDOUT …, empty STDOUT, END_REQUEST.
    package func encode(_ document: [UInt8]) -> EncodedAnswer {
        remembered(document, isPart: false, encodeAnew)
    }

    private func remembered(
        _ bytes: [UInt8],
        isPart: Bool,
        _ encode: ([UInt8]) -> EncodedAnswer
    ) -> EncodedAnswer {
        guard bytes.count <= Codec.recentBytes else { return encode(bytes) }
        let key = Document(bytes: bytes, isPart: isPart)
        if let known = recent[key] { return known }
        if recent.count >= Codec.recentLimit { recent.removeAll(keepingCapacity: true) }
        let encoded = encode(bytes)
        recent[key] = encoded
        return encoded
    }

    private func encodeAnew(_ document: [UInt8]) -> EncodedAnswer {
        let written = write(document) {
            // In this order: an empty STDERR closed last would get a write of its own.
            unsafe FCGX_FClose(request.pointee.err) == 0 && FCGX_FClose(request.pointee.out) == 0
        }
        return EncodedAnswer(bytes: written ?? Record.answer(id: .first, document))
    }

    /// Encodes the header block that precedes a body from `encode`. Not by libfcgi, which takes eight system calls: the
    /// answers to thousands of requests may differ only in their headers.
    ///
    /// - Parameter body: follows in the same piece.
    package func encode(header: [UInt8], before body: EncodedAnswer? = nil) -> EncodedAnswer {
        let room = body?.bytes.count ?? 0
        var bytes = Record.stream(Record.stdout, id: RequestID.first.value, header, room: room)
        if let body { bytes.append(contentsOf: body.bytes) }
        return EncodedAnswer(bytes: bytes)
    }

    /// Encodes part of an answer that continues: STDOUT records only, none for no bytes (an empty one ends the stream).
    package func encodePart(_ bytes: [UInt8]) -> EncodedAnswer {
        guard !bytes.isEmpty else { return EncodedAnswer(bytes: []) }
        return remembered(bytes, isPart: true) { bytes in
            let written = write(bytes) { unsafe FCGX_FFlush(request.pointee.out) == 0 }
            let first = RequestID.first.value
            return EncodedAnswer(bytes: written ?? Record.stream(Record.stdout, id: first, bytes))
        }
    }

    // MARK: libfcgi

    /// Feeds records to libfcgi and runs `body` while it has the request open.
    private func accept<T>(_ records: UnsafeRawBufferPointer, _ body: () -> T) -> T? {
        if input == nil { input = try? CodecInput() }
        defer { input?.remove(byteCount: records.count) }
        guard let file = unsafe input?.put(records) else {
            refusals += 1
            return nil
        }
        unsafe request.pointee.ipcFd = file
        unsafe request.pointee.keepConnection = 1
        unsafe request.pointee.detached = 1
        guard unsafe FCGX_Accept_r(request) == 0 else {
            refusals += 1
            input?.wasClosed()
            input = nil
            return nil
        }
        defer {
            unsafe FCGX_Free(request, 0)
            unsafe request.pointee.ipcFd = -1
        }
        guard unsafe FCGX_GetError(request.pointee.in) == 0 else {
            refusals += 1
            return nil
        }
        return body()
    }

    /// Lets libfcgi write `content` to STDOUT of an empty request and `end` it, and returns what it wrote.
    private func write(_ content: [UInt8], end: () -> Bool) -> [UInt8]? {
        unsafe template.withUnsafeBytes { template in
            unsafe accept(template) {
                guard lseek(output, 0, SEEK_SET) == 0 else { return nil }
                let input = unsafe request.pointee.ipcFd
                unsafe request.pointee.ipcFd = output
                // Restored before the request is freed: a failure must not close the output file.
                defer { unsafe request.pointee.ipcFd = input }
                guard put(content), end(), let written = collect() else {
                    refusals += 1
                    return nil
                }
                return written
            } ?? nil
        }
    }

    private func put(_ content: [UInt8]) -> Bool {
        unsafe content.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress, bytes.count > 0 else { return true }
            guard let count = Int32(exactly: bytes.count) else { return false }
            return unsafe FCGX_PutStr(
                start.assumingMemoryBound(to: CChar.self),
                count,
                request.pointee.out
            ) == count
        }
    }

    /// All bytes up to the output file's position.
    private func collect() -> [UInt8]? {
        let count = Int(lseek(output, 0, SEEK_CUR))
        guard count >= 0 else { return nil }
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = max(unsafe pread(output, buffer.baseAddress, count, 0), 0)
        }
        if count > Codec.keptFileBytes { ftruncate(output, 0) }
        return bytes.count == count ? bytes : nil
    }

    static func makeFile() throws(CodecError) -> Int32 {
        let file = unsafe memfd_create("fastcgi", 0x1 /* MFD_CLOEXEC */)
        let code = errno
        guard file >= 0 else { throw CodecError(call: "memfd_create", code: code) }
        return file
    }

    /// Initialises the library once per process; its globals have no lock, but a Swift global's initialiser has.
    private static let libraryFailure: CodecError? = {
        let status = FCGX_Init()
        guard status == 0 else { return CodecError(call: "FCGX_Init", code: status) }
        // It installs handlers that swallow SIGTERM and SIGUSR1.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGTERM, SIG_DFL)
        signal(SIGUSR1, SIG_DFL)
        return nil
    }()
}

/// A request as libfcgi read it, lent for the duration of a callback.
@safe package struct DecodedRequest: ~Copyable {
    fileprivate let request: UnsafeMutablePointer<FCGX_Request>
    private let bodyBytes: Int

    fileprivate init(request: UnsafeMutablePointer<FCGX_Request>, bodyBytes: Int) {
        unsafe self.request = unsafe request
        self.bodyBytes = bodyBytes
    }

    /// Visits every variable once, in the order sent. The buffers are valid during the call only.
    package borrowing func forEachVariable(
        _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
    ) {
        // libfcgi puts FCGI_ROLE before the variables of the web server.
        guard var next = unsafe request.pointee.envp?.successor() else { return }
        while let entry = unsafe next.pointee {
            unsafe next = next.successor()
            let length = unsafe strlen(entry)
            guard let equals = unsafe memchr(entry, Int32(UInt8(ascii: "=")), length) else {
                continue
            }
            let nameLength = unsafe UnsafeRawPointer(equals) - UnsafeRawPointer(entry)
            unsafe body(
                UnsafeRawBufferPointer(start: entry, count: nameLength),
                UnsafeRawBufferPointer(start: equals + 1, count: length - nameLength - 1)
            )
        }
    }

    /// The body: what arrived in STDIN, whatever CONTENT_LENGTH says. A second call finds nothing.
    package borrowing func readBody() -> [UInt8] {
        guard bodyBytes > 0, let count = Int32(exactly: bodyBytes) else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: bodyBytes) { buffer, initialized in
            unsafe buffer.withMemoryRebound(to: CChar.self) { buffer in
                initialized = max(
                    0,
                    Int(unsafe FCGX_GetStr(buffer.baseAddress, count, request.pointee.in))
                )
            }
        }
    }
}
