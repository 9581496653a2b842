/// A client that has sent a request through a web server and waits, over HTTP/1.1 or HTTP/2.
package final class WaitingClient {
    package enum Version: CaseIterable { case http1, http2 }

    private enum Means {
        case connection(HTTPClient)
        case curl(ChildProcess)
    }

    private let means: Means

    package init(_ version: Version, _ target: String, through server: WebServer) throws {
        switch version {
        case .http1:
            let client = try HTTPClient(port: server.port)
            try client.send("GET", target)
            means = .connection(client)
        case .http2:
            let url = "http://127.0.0.1:\(server.http2Port)\(target)"
            means = .curl(
                try ChildProcess(
                    try Tool.curl.path,
                    ["-q", "-s", "-S", "-i", "-N", "--http2-prior-knowledge", url],
                    name: "curl-\(server.http2Port)-\(target.hashValue)",
                    directory: server.directory
                )
            )
        }
    }

    package func answer() throws -> HTTPAnswer {
        switch means {
        case .connection(let client): return try client.answer()
        case .curl(let curl):
            let exit = try curl.wait()
            guard exit == .exited(0) else { throw HarnessError("curl \(exit): \(curl.errorText)") }
            return try HTTPAnswer(message: curl.outputBytes)
        }
    }
}

/// Tests/EndToEndTests/Support/h2client.py: an HTTP/2 client that can reset its streams.
package final class ResettingClient {
    private let python: ChildProcess

    package init(_ server: WebServer) throws {
        python = try ChildProcess(
            try Tool.python.path,
            ["\(Place.root)/Tests/EndToEndTests/Support/h2client.py", "\(server.http2Port)"],
            name: "h2client-\(server.http2Port)",
            directory: server.directory,
            input: .pipe,
            output: .pipe
        )
    }

    /// Sends a GET; its stream's number is what the others take.
    package func get(_ target: String) throws -> Int {
        Int(try ask("get \(target)")) ?? -1
    }

    /// RST_STREAM with CANCEL.
    package func reset(_ stream: Int) throws { _ = try ask("reset \(stream)") }

    /// Reads the answer on a stream to its end; returns its status.
    package func status(_ stream: Int) throws -> Int { Int(try ask("read \(stream)")) ?? -1 }

    private func ask(_ command: String) throws -> String {
        try python.write(command + "\n")
        guard let line = try python.readLine() else {
            throw HarnessError("h2client.py ended: \(python.errorText)")
        }
        return line
    }
}
