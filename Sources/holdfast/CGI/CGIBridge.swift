internal import Configuration
internal import FastCGI
internal import Glibc
internal import System
internal import Text

/// One CGI request, connected to the responder: environment and body in, answer out as it arrives.
///
/// A CGI program learns little of a client's departure: its output no longer has a reader (POLLERR), its parent process
/// changes, or SIGTERM arrives. Each of them ends this process and its connection, so that the responder releases the
/// subscriber. Signals keep their default action for that reason.
struct CGIBridge {
    let iniFile: String

    /// How often the parent process is checked.
    private static let parentCheckMilliseconds: Int32 = 1000

    /// - Returns: the exit code.
    func run() -> Int32 {
        let parent = getppid()
        let settings: Settings
        switch IniFileReader.read(iniFile) {
        case .success(let read): settings = read
        case .failure(let problems):
            for line in problems.lines { StandardError.write(line) }
            refuse("The service is not configured; 'holdfast check' says why.", iniFile)
            return EX_CONFIG
        }
        guard let connection = connect(settings.fastcgi.listen) else {
            refuse(
                "No holdfast is running; start it with 'systemctl start holdfast', or 'holdfast serve'.",
                "no process listens on \(settings.fastcgi.listen)"
            )
            return EX_UNAVAILABLE
        }
        guard let bodyLength else {
            refuseBody("CONTENT_LENGTH is not a number.")
            return EX_DATAERR
        }
        return passOn(connection, bodyLength, parent)
    }

    // MARK: To the responder

    private func connect(_ listen: FastCGISettings.Listen) -> Int32? {
        switch listen {
        case .inherited: nil
        case .unix(let path): Sockets.connect(unix: path)
        case .tcp(let address, let port): Sockets.connect(address, port)
        }
    }

    /// BEGIN_REQUEST and PARAMS: the whole environment, in which a client's header fields are all HTTP_….
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
        // Holdfast is mounted at the program's path, unless the server says otherwise or maps another address to it.
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

    /// How much of standard input is the body.
    private enum BodyLength {
        case bytes(Int)
        /// A chunked body, which the server passes on.
        case toTheEnd
    }

    /// From CONTENT_LENGTH; nil if that is not a number. Empty and -1 count as absent.
    private var bodyLength: BodyLength? {
        let text = unsafe getenv("CONTENT_LENGTH").map { unsafe String(cString: $0) } ?? ""
        if text.isEmpty || text == "-1" {
            return unsafe getenv("HTTP_TRANSFER_ENCODING") != nil ? .toTheEnd : .bytes(0)
        }
        guard let number = Int(text), number >= 0 else { return nil }
        return .bytes(number)
    }

    // MARK: Both ways

    private func passOn(
        _ connection: Int32,
        _ bodyLength: BodyLength,
        _ parent: pid_t
    ) -> Int32 {
        var stream = RecordStream()
        var hasAnswered = false
        // What the responder has not taken yet, and how much of the body remains to be read; nil when it is complete.
        var unsent = request[...]
        var left: Int?
        switch bodyLength {
        case .bytes(let count): left = count
        case .toTheEnd: left = .max
        }
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
                // No events requested: errors and hang-ups are always reported.
                pollfd(fd: 1, events: 0, revents: 0),
                pollfd(
                    fd: unsent.isEmpty && left != nil ? 0 : -1,
                    events: Int16(POLLIN),
                    revents: 0
                ),
            ]
            _ = unsafe poll(&looks, nfds_t(looks.count), Self.parentCheckMilliseconds)
            // Nobody reads the answer any more.
            if looks[1].revents & Int16(POLLERR | POLLHUP | POLLNVAL) != 0 || getppid() != parent {
                return 0
            }
            if looks[2].revents != 0, let most = left {
                let bytes = SystemCalls.readSome(0, atMost: min(most, 32_768)) ?? []
                if !bytes.isEmpty {
                    unsent = Record.record(Record.stdin, id: 1, bytes[...])[...]
                    left = most - bytes.count
                } else if case .toTheEnd = bodyLength {
                    left = 0
                } else {
                    // The end of STDIN is never sent, so this never becomes a complete request.
                    if !hasAnswered {
                        refuseBody(
                            "The body was shorter than its Content-Length, so it was discarded."
                        )
                    }
                    return EX_DATAERR
                }
            }
            if looks[0].revents & Int16(POLLOUT) != 0 {
                switch unsafe unsent.withUnsafeBytes({ unsafe SystemCalls.send(connection, $0) }) {
                case .bytes(let count): unsent = unsent.dropFirst(count)
                case .wouldBlock: break
                // The responder's answer counts even if it did not take the whole request.
                case .ended: (unsent, left) = ([], nil)
                }
            }
            guard looks[0].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 else { continue }
            guard receive(connection, &stream) else {
                // The responder ended during the request.
                if !hasAnswered { refuse("The service ended before it answered; try again.") }
                return EX_PROTOCOL
            }
            while let piece = stream.next() {
                switch piece {
                case .output(let bytes):
                    hasAnswered = true
                    guard SystemCalls.writeAll(1, bytes) else {
                        StandardError.write(
                            "holdfast cgi: cannot write: \(SystemError.sentence(of: errno))"
                        )
                        return EX_IOERR
                    }
                case .error(let bytes): _ = SystemCalls.writeAll(2, bytes)
                case .end(_, let status):
                    if status != 0, !hasAnswered { refuse("The service accepts no more requests.") }
                    return 0
                }
            }
        }
    }

    /// Receives bytes; false at the end of the connection.
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

    /// Answers 503 with a sentence that has no quotation marks; the server's log gets more detail. A browser's
    /// EventSource would never come back after a 503, so it gets an empty stream, as from the web servers'
    /// configurations.
    private func refuse(_ sentence: String, _ more: String = "") {
        guard !wantsEvents else {
            StandardError.write("holdfast cgi: \(sentence) \(more)")
            let head =
                "Status: 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
            _ = SystemCalls.writeAll(1, Array((head + "\r\nretry: 2000\n").utf8))
            return
        }
        refuse("503 Service Unavailable", "away", sentence, more, fields: "Retry-After: 2\r\n")
    }

    private var wantsEvents: Bool {
        func variable(_ name: String) -> String {
            unsafe getenv(name).map { unsafe String(cString: $0) } ?? ""
        }
        return variable("REQUEST_METHOD") == "GET"
            && variable("HTTP_ACCEPT").lowercased().includes("text/event-stream")
    }

    /// Answers 400: the body is not what the request declared.
    private func refuseBody(_ sentence: String) {
        refuse("400 Bad Request", "incomplete_body", sentence)
    }

    private func refuse(
        _ status: String,
        _ code: String,
        _ sentence: String,
        _ more: String = "",
        fields: String = ""
    ) {
        StandardError.write("holdfast cgi: \(sentence) \(more)")
        var body: [UInt8] = []
        body.openObject()
        body.append(member: "type", word: "about:blank")
        body.append(member: "title", text: String(status.dropFirst(4)))
        body.append(member: "status", Int(status.prefix(3)) ?? 500)
        body.append(member: "code", text: code)
        body.append(member: "detail", text: sentence)
        body.closeObjectAndLine()
        let head =
            "Status: \(status)\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n\(fields)"
            + "Content-Length: \(body.count)\r\n\r\n"
        _ = SystemCalls.writeAll(1, Array(head.utf8) + body)
    }
}
