internal import CLinux
internal import Diagnosis
internal import Glibc
internal import System
internal import Text

/// A request for curl to make.
struct WebRequest {
    enum Version: String {
        case http1 = "http1.1"
        /// Over TLS, negotiated by server and curl.
        case http2
        case http2PriorKnowledge = "http2-prior-knowledge"
    }

    var url: String
    var method = "GET"
    /// Whole lines, such as `Accept: text/html`.
    var headers: [String] = []
    var version: Version?

    /// The content of curl's --config. Credentials are in it; a list of arguments would show them to every user.
    func options(maxSeconds: Int) -> String {
        // --dump-header prints heads as they arrive; with --include they wait for the first byte of the body.
        var lines = [
            "silent", "show-error", "no-buffer", "globoff", "path-as-is", "dump-header = -",
        ]
        if let version { lines.append(version.rawValue) }
        lines.append("max-time = \(maxSeconds)")
        lines.append("request = \(Self.quoted(method))")
        lines.append("url = \(Self.quoted(url))")
        lines += headers.map { "header = \(Self.quoted($0))" }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func quoted(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { letter in
            switch letter {
            case "\\", "\"": "\\\(letter)"
            case "\n", "\r": " "
            default: "\(letter)"
            }
        }
        return "\"\(escaped.joined())\""
    }
}

/// A request in flight: curl as a child process, whose end is the client's departure.
///
/// Curl is used instead of an HTTP library in this binary, which every deployment would carry for this command alone.
final class CurlTransfer {
    private(set) var answer = AnswerBytes()
    /// Curl's exit code, once it has ended by itself.
    private(set) var exitCode: Int32?
    private(set) var endedAt: Int64?
    let startedAt = MonotonicClock.milliseconds()
    private let process: ChildProcess
    private let output: OwnedDescriptor
    private let complaints: OwnedDescriptor
    private var isReaped = false

    /// - Parameter maxSeconds: bounds curl's life, in case this process ends without ending its child.
    init(_ request: WebRequest, maxSeconds: Int) throws(SystemError) {
        let options = try OwnedDescriptor.inMemory(
            "options",
            Array(request.options(maxSeconds: maxSeconds).utf8)
        )
        complaints = try OwnedDescriptor.inMemory("complaints")
        var ends: [Int32] = [-1, -1]
        try SystemCalls.check(unsafe pipe2(&ends, O_CLOEXEC), "make", on: "a pipe")
        output = OwnedDescriptor(ends[0])
        let input = OwnedDescriptor(ends[1])
        _ = fcntl(output.number, F_SETFL, O_NONBLOCK)
        process = try Self.spawn([
            (options.number, 0), (input.number, 1), (complaints.number, 2),
        ])
    }

    deinit { leave() }

    /// Whether curl has ended by itself and all its output was read.
    var hasEnded: Bool { exitCode != nil }

    /// Curl's first error message.
    var complaint: String {
        var bytes = [UInt8](repeating: 0, count: 1000)
        let count = unsafe pread(complaints.number, &bytes, bytes.count, 0)
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        return text.split(whereSeparator: \.isNewline).first.map(String.init) ?? "no answer"
    }

    var descriptor: Int32 { hasEnded || isReaped ? -1 : output.number }

    /// Reads what has arrived.
    func readAvailable() {
        while !hasEnded, !isReaped {
            var bytes = [UInt8](repeating: 0, count: 16_384)
            let count = SystemCalls.retrying {
                unsafe read(output.number, &bytes, bytes.count)
            }
            if count < 0 { return }
            if count > 0 {
                answer.take(bytes.prefix(count))
                continue
            }
            endedAt = MonotonicClock.milliseconds()
            switch reap() {
            case .exited(let code): exitCode = code
            case .killed: exitCode = 2
            }
        }
    }

    /// Leaves abruptly, as a browser that is closed.
    func leave() {
        guard !isReaped else { return }
        process.kill()
        _ = reap()
    }

    private func reap() -> ChildProcess.End {
        isReaped = true
        return process.wait()
    }

    /// Reads from all transfers until the condition holds, all have ended, or the deadline has passed.
    ///
    /// - Returns: whether the condition holds.
    @discardableResult
    static func follow<E: Error>(
        _ transfers: [CurlTransfer],
        until deadline: Int64,
        _ condition: () throws(E) -> Bool
    ) throws(E) -> Bool {
        while true {
            for transfer in transfers { transfer.readAvailable() }
            if try condition() { return true }
            let now = MonotonicClock.milliseconds()
            if now >= deadline || transfers.allSatisfy(\.hasEnded) { return false }
            var polled = transfers.map {
                pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0)
            }
            // Conditions about the responder are evaluated regularly, too.
            _ = unsafe poll(&polled, nfds_t(polled.count), Int32(min(50, deadline - now)))
        }
    }

    // MARK: The process

    /// Throws ENOENT if curl is not installed.
    private static func spawn(
        _ descriptors: [(ours: Int32, theirs: Int32)]
    ) throws(SystemError) -> ChildProcess {
        // --disable comes first: it ignores this user's .curlrc.
        try ChildProcess("curl", ["--disable", "--config", "-"], descriptors: descriptors)
    }
}
