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
        // Whatever the responder says of it, an answer is an answer.
        _ = send(request, connection) && sendBody(connection)
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
        if !hasBase, !script.isEmpty, target.isEmpty || target.starts(with: script + [0x2F]) {
            NameValuePairs.append(Array("HOLDFAST_BASE".utf8), script + [0x2F], to: &pairs)
        }
        return Record.beginRequest(id: .first, keepConnection: false)
            + Record.stream(Record.params, id: 1, pairs) + Record.record(Record.params, id: 1, [])
    }

    /// STDIN: as much as CONTENT_LENGTH says, or to the end where the server passes a chunked body on.
    private func sendBody(_ connection: Int32) -> Bool {
        let length = unsafe getenv("CONTENT_LENGTH").flatMap { unsafe Int(String(cString: $0)) }
        let isChunked = unsafe getenv("HTTP_TRANSFER_ENCODING") != nil
        var left = length ?? (isChunked ? .max : 0)
        var buffer = [UInt8](repeating: 0, count: 32_768)
        while left > 0 {
            let count = unsafe read(0, &buffer, min(left, buffer.count))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            left -= count
            let record = Record.record(Record.stdin, id: 1, buffer[..<count])
            guard send(record, connection) else { return false }
        }
        return send(Record.record(Record.stdin, id: 1, []), connection)
    }

    private func send(_ bytes: [UInt8], _ connection: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes[sent...].withUnsafeBytes { part in
                unsafe Glibc.send(connection, part.baseAddress, part.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    // MARK: To the web server

    private func passOn(_ connection: Int32, _ parent: pid_t) -> Int32 {
        var stream = RecordStream()
        var hasAnswered = false
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            var looks = [
                pollfd(fd: connection, events: Int16(POLLIN), revents: 0),
                // Asks for nothing: errors and hang-ups are told unasked.
                pollfd(fd: 1, events: 0, revents: 0),
            ]
            _ = unsafe poll(&looks, 2, Self.lookMilliseconds)
            // Nobody reads the answer any more.
            if looks[1].revents & Int16(POLLERR | POLLHUP | POLLNVAL) != 0 || getppid() != parent {
                return 0
            }
            guard looks[0].revents != 0 else { continue }
            let count = unsafe recv(connection, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                // The responder ended in the middle.
                if !hasAnswered { refuse("The service ended before it answered; try again.") }
                return EX_PROTOCOL
            }
            unsafe buffer.withUnsafeBytes {
                unsafe stream.receive(UnsafeRawBufferPointer(rebasing: $0[..<count]))
            }
            while let piece = stream.next() {
                switch piece {
                case .output(let bytes):
                    hasAnswered = true
                    guard write(bytes, to: 1) else { return 0 }
                case .error(let bytes): _ = write(bytes, to: 2)
                case .end(_, let status):
                    if status != 0, !hasAnswered { refuse("The service takes no more requests.") }
                    return 0
                }
            }
        }
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes[sent...].withUnsafeBytes { part in
                unsafe Glibc.write(descriptor, part.baseAddress, part.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Answers 503 with a sentence, without quotation marks; the server's log is told more.
    private func refuse(_ sentence: String, _ more: String = "") {
        StandardError.write("holdfast cgi: \(sentence) \(more)")
        let body =
            "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"code\":\"away\","
            + "\"detail\":\"\(sentence)\"}\n"
        _ = write(
            Array(
                ("Status: 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
                    + "Cache-Control: no-store\r\nRetry-After: 2\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                    + body).utf8
            ),
            to: 1
        )
    }
}
