internal import CLibFCGI
internal import CLinux
package import FastCGI
internal import Glibc
internal import System
package import Text

/// Why the codec cannot be created.
package struct CodecError: Error, CustomStringConvertible {
    package let call: String
    package let code: Int32

    package var description: String {
        let reason = SystemError.sentence(of: code)
        return "cannot prepare libfcgi: \(call): \(reason)"
    }
}

/// libfcgi, which turns records into variables and documents into records.
///
/// It never sees a client's descriptor. It reads validated records from one memfd (`CodecInput`) and writes records to
/// another (`CodecOutput`), so that it cannot wait, linger or close anything but these two. What it requires:
/// - `FCGX_Accept_r` takes a preset `ipcFd` if `keepConnection` is 1 (else it closes it first) and `detached`
///   is 1 (else closing lingers), both set anew each time; with no listening socket a failure returns.
/// - Its streams point back to the `FCGX_Request`, which stays at one address for life.
/// - When it refuses a request, it has closed the descriptor: a new memfd replaces it.
///
/// Reactor thread only.
@safe package final class Codec {
    /// Requests that libfcgi did not take, and documents that it did not write; 0 unless memory is short.
    package private(set) var refusals = 0

    private let request: UnsafeMutablePointer<FCGX_Request>
    /// Nil when libfcgi has closed it, until the next request.
    private var input: CodecInput?
    /// Nil when libfcgi has failed, until the next answer.
    private var output: CodecOutput?
    private let template: [UInt8]
    private let sorter = RequestSorter()
    /// Recently written small documents, and parts of documents. Clients that poll an unchanged channel all get the
    /// same document, as all streams get the same heartbeat, and libfcgi takes a system call to write it.
    private var recent: [Document: EncodedAnswer] = [:]
    /// Hashed in one piece, whereas an array is hashed byte by byte.
    private struct Document: Hashable {
        let bytes: [UInt8]
        let isPart: Bool

        func hash(into hasher: inout Hasher) {
            unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        }
    }

    /// The newest of them, found without a hash: a document that is needed again is usually needed at once.
    private var newest: (document: Document, encoded: EncodedAnswer)?

    private static let recentLimit = 64
    private static let recentBytes = 2048
    private static let newestBytes = 65_536

    package init() throws(CodecError) {
        if let failure = Codec.libraryFailure { throw failure }
        input = try CodecInput()
        template = Record.request(id: .first, keepConnection: true, variables: [])
        output = try CodecOutput(template)
        unsafe request = .allocate(capacity: 1)
        unsafe request.initialize(to: FCGX_Request())
        unsafe FCGX_InitRequest(request, -1, 0)
    }

    deinit {
        unsafe request.deinitialize(count: 1)
        unsafe request.deallocate()
    }

    /// Lends the request's variables and body, as libfcgi read them, for the duration of the call.
    ///
    /// Nil if libfcgi refuses; `refusals` counts it.
    ///
    /// - Parameter isWanted: whether a variable of this name is used; others may be left out.
    package func decode<T>(
        _ framed: FramedRequest,
        wanting isWanted: (UnsafeRawBufferPointer) -> Bool = { _ in true },
        _ body: (borrowing DecodedRequest) -> T
    ) -> T? {
        let wanted = unsafe sorter.sort(framed.records) { unsafe isWanted($0) ? .common : .unused }
        return unsafe accept(wanted?.records ?? framed.records) {
            body(unsafe DecodedRequest(request: request, bodyBytes: framed.bodyBytes))
        }
    }

    /// Splits a request without a body into common variables and others: the common ones need be decoded only once.
    ///
    /// - Parameter use: how a variable of this name is used; others are left out.
    /// - Returns: nil for a request with a body or of an unusual form; such requests are decoded whole.
    package func sort(
        _ framed: FramedRequest,
        by use: (UnsafeRawBufferPointer) -> VariableUse
    ) -> SortedRequest? {
        guard framed.bodyBytes == 0, !framed.bodyDropped else { return nil }
        return unsafe sorter.sort(framed.records, use)
    }

    /// Takes from its divided variables the parts that are particular.
    ///
    /// - Parameter part: the part of the value of a variable of this name; empty if it has none.
    /// - Returns: what takes the place of `sorted`, which is not valid any more; nil if there are no such parts.
    package func divide(
        _ sorted: SortedRequest,
        by part: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Range<Int>
    ) -> SortedRequest? {
        unsafe sorter.divide(sorted, part)
    }

    /// The same for the common variables of a request.
    package func decode<T>(
        commonOf sorted: SortedRequest,
        _ body: (borrowing DecodedRequest) -> T
    ) -> T? {
        unsafe accept(sorted.records) {
            body(unsafe DecodedRequest(request: request, bodyBytes: 0))
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
        guard bytes.count <= Codec.newestBytes else { return encode(bytes) }
        if let newest, newest.document.isPart == isPart, newest.document.bytes.holdsSame(as: bytes)
        {
            return newest.encoded
        }
        let key = Document(bytes: bytes, isPart: isPart)
        let isSmall = bytes.count <= Codec.recentBytes
        let known = isSmall ? recent[key] : nil
        let encoded = known ?? encode(bytes)
        newest = (key, encoded)
        guard isSmall, known == nil else { return encoded }
        if recent.count >= Codec.recentLimit { recent.removeAll(keepingCapacity: true) }
        recent[key] = encoded
        return encoded
    }

    /// The end of an answer is the same for all.
    private func encodeAnew(_ document: [UInt8]) -> EncodedAnswer {
        EncodedAnswer(bytes: records(of: document) + Self.end)
    }

    private static let end = Record.answer(id: .first, [])

    /// Encodes the header block that precedes a body from `encode`. Not by libfcgi, which takes a system call: the
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
        return remembered(bytes, isPart: true) { EncodedAnswer(bytes: records(of: $0)) }
    }

    // MARK: libfcgi

    /// Feeds records to libfcgi and runs `body` while it has the request open.
    private func accept<T>(
        _ records: UnsafeRawBufferPointer,
        _ body: () -> T
    ) -> T? {
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

    /// Content as STDOUT records, by libfcgi unless that fails.
    private func records(of content: [UInt8]) -> [UInt8] {
        guard !content.isEmpty else { return [] }
        if output == nil { output = try? CodecOutput(template) }
        if let records = output?.records(of: content) { return records }
        refusals += 1
        output = nil
        return Record.stream(Record.stdout, id: RequestID.first.value, content)
    }

    /// A file whose first bytes are mapped, and its pages allocated.
    static func makeWindow(
        bytes: Int
    ) throws(CodecError) -> (file: Int32, window: UnsafeMutableRawBufferPointer) {
        let file = try makeFile()
        let code = posix_fallocate(file, 0, bytes)
        guard code == 0 else {
            close(file)
            throw CodecError(call: "posix_fallocate", code: code)
        }
        let mapped = unsafe mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        let failure = errno
        guard let mapped = unsafe mapped, unsafe mapped != UnsafeMutableRawPointer(bitPattern: -1)
        else {
            close(file)
            throw CodecError(call: "mmap", code: failure)
        }
        return unsafe (file, UnsafeMutableRawBufferPointer(start: mapped, count: bytes))
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

extension [UInt8] {
    /// As `==`, which compares byte by byte.
    fileprivate func holdsSame(as other: [UInt8]) -> Bool {
        guard count == other.count else { return false }
        return unsafe withUnsafeBytes { mine in
            unsafe other.withUnsafeBytes { theirs in
                guard let mine = mine.baseAddress, let theirs = theirs.baseAddress else {
                    return true
                }
                return unsafe memcmp(mine, theirs, other.count) == 0
            }
        }
    }
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
