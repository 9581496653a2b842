internal import Configuration
internal import FastCGI
internal import Glibc
internal import Reactor

/// One CGI request, joined to the responder: environment and body in, answer out as it comes.
///
/// What a CGI program is told of a client's departure is little: its output has no reader any more (POLLERR), its
/// parent is another, or SIGTERM comes. By each of them this process ends, and with it its connection, so that the
/// responder lets go of the subscriber. Signals keep their ordinary action for that reason.
struct CGIBridge {
    let iniFile: String

    /// How often the parent is looked at.
    private static let lookMilliseconds: Int32 = 1000

    /// - Returns: the exit code.
    func run() -> Int32 {
        let parent = getppid()
        let settings: Settings
        switch IniFileReader.read(iniFile) {
        case .success(let read): settings = read
        case .failure(let problems):
            for line in problems.lines { StandardError.write(line) }
            refuse("The service is not set up; 'holdfast check' says why.", iniFile)
            return EX_CONFIG
        }
        guard let connection = connect(settings.fastcgi.listen) else {
            refuse(
                "No holdfast is running; start it with 'systemctl start holdfast', or 'holdfast serve'.",
                "nobody listens on \(settings.fastcgi.listen)"
            )
            return EX_UNAVAILABLE
        }
        return passOn(connection, parent)
    }

    // MARK: To the responder

    private func connect(_ listen: FastCGISettings.Listen) -> Int32? {
        switch listen {
        case .inherited: nil
        case .unix(let path): Sockets.connect(unix: path)
        case .tcp(let address, let port): Sockets.connect(address, port)
        }
    }

    /// BEGIN_REQUEST and PARAMS: the whole environment, in which a client's header fields are HTTP_… only.
    private var request: [UInt8] {
        var pairs: [UInt8] = []
        var (script, target): ([UInt8], [UInt8]) = ([], [])
        var hasBase = false
        var next = unsafe environ
        while let entry = unsafe next.pointee {
            unsafe next = next.successor()
            let variable = unsafe Array(UnsafeRawBufferPointer(start: entry, count: strlen(entry)))
            guard let equals = variable.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let (name, value) = (Array(variable[..<equals]), Array(variable[(equals + 1)...]))
            switch String(decoding: name, as: UTF8.self) {
            case "SCRIPT_NAME": script = value
            case "REQUEST_URI": target = value
            case "HOLDFAST_BASE": hasBase = true
            default: break
            }
            NameValuePairs.append(name, value, to: &pairs)
        }
        // The program is the place where Holdfast is mounted, unless the server says otherwise or has another address
        // lead here.
        let isMount =
            target.isEmpty || target == script
            || [UInt8(ascii: "/"), UInt8(ascii: "?")].contains {
                target.starts(with: script + [$0])
            }
        if !hasBase, !script.isEmpty, isMount {
            NameValuePairs.append(Array("HOLDFAST_BASE".utf8), script + [0x2F], to: &pairs)
        }
        return Record.beginRequest(id: .first, keepConnection: false)
            + Record.stream(Record.params, id: 1, pairs) + Record.record(Record.params, id: 1, [])
    }

    /// Bytes of STDIN: as many as CONTENT_LENGTH says, or to the end where the server passes a chunked body on.
    private var bodyLength: Int {
        let length = unsafe getenv("CONTENT_LENGTH").flatMap { unsafe Int(String(cString: $0)) }
        let isChunked = unsafe getenv("HTTP_TRANSFER_ENCODING") != nil
        return max(0, length ?? (isChunked ? .max : 0))
    }

    // MARK: Both ways

    private func passOn(_ connection: Int32, _ parent: pid_t) -> Int32 {
        var stream = RecordStream()
        var hasAnswered = false
        // What the responder has not taken yet, and how much of the body is still to be read; nil when it is complete.
        var unsent = request[...]
        var left: Int? = bodyLength
        while true {
            if unsent.isEmpty, left == 0 {
                unsent = Record.record(Record.stdin, id: 1, [])[...]
                left = nil
            }
            var looks = [
                pollfd(
                    fd: connection,
                    events: Int16(unsent.isEmpty ? POLLIN : POLLIN | POLLOUT),
                    revents: 0
                ),
                // Asks for nothing: errors and hang-ups are told unasked.
                pollfd(fd: 1, events: 0, revents: 0),
                pollfd(
                    fd: unsent.isEmpty && left != nil ? 0 : -1,
                    events: Int16(POLLIN),
                    revents: 0
                ),
            ]
            _ = unsafe poll(&looks, nfds_t(looks.count), Self.lookMilliseconds)
            // Nobody reads the answer any more.
            if looks[1].revents & Int16(POLLERR | POLLHUP | POLLNVAL) != 0 || getppid() != parent {
                return 0
            }
            if looks[2].revents != 0, let most = left {
                let bytes = SystemCalls.readSome(0, atMost: min(most, 32_768)) ?? []
                left = bytes.isEmpty ? 0 : most - bytes.count
                if !bytes.isEmpty { unsent = Record.record(Record.stdin, id: 1, bytes[...])[...] }
            }
            if looks[0].revents & Int16(POLLOUT) != 0 {
                switch unsafe unsent.withUnsafeBytes({ unsafe SystemCalls.send(connection, $0) }) {
                case .bytes(let count): unsent = unsent.dropFirst(count)
                case .wouldBlock: break
                // Whatever the responder thinks of the request, what it has answered is an answer.
                case .ended: (unsent, left) = ([], nil)
                }
            }
            guard looks[0].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 else { continue }
            guard receive(connection, &stream) else {
                // The responder ended in the middle.
                if !hasAnswered { refuse("The service ended before it answered; try again.") }
                return EX_PROTOCOL
            }
            while let piece = stream.next() {
                switch piece {
                case .output(let bytes):
                    hasAnswered = true
                    guard SystemCalls.writeAll(1, bytes) else { return 0 }
                case .error(let bytes): _ = SystemCalls.writeAll(2, bytes)
                case .end(_, let status):
                    if status != 0, !hasAnswered { refuse("The service takes no more requests.") }
                    return 0
                }
            }
        }
    }

    /// False at the end of the connection.
    private func receive(_ connection: Int32, _ stream: inout RecordStream) -> Bool {
        unsafe withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 16) { buffer in
            switch unsafe SystemCalls.receive(connection, into: buffer) {
            case .bytes(let count):
                unsafe stream.receive(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                return true
            case .wouldBlock: return true
            case .ended: return false
            }
        }
    }

    /// Answers 503 with a sentence, without quotation marks; the server's log is told more.
    private func refuse(_ sentence: String, _ more: String = "") {
        StandardError.write("holdfast cgi: \(sentence) \(more)")
        let body =
            "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"code\":\"away\","
            + "\"detail\":\"\(sentence)\"}\n"
        let head =
            "Status: 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
            + "Cache-Control: no-store\r\nRetry-After: 2\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        _ = SystemCalls.writeAll(1, Array((head + body).utf8))
    }
}
