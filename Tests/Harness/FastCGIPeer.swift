/// What a request got: its streams, and how it ended (FastCGI 1.0 §5.5).
package struct FastCGIResponse {
    package fileprivate(set) var stdout: [UInt8] = []
    package fileprivate(set) var stderr: [UInt8] = []
    package fileprivate(set) var appStatus: UInt32 = 0
    /// 0 complete, 1 cannot multiplex, 2 overloaded, 3 unknown role.
    package fileprivate(set) var protocolStatus: UInt8 = 0

    package var answer: HTTPAnswer { get throws { try HTTPAnswer(document: stdout) } }
}

/// A web server's end of one FastCGI connection, as polite or as rude as a test wants.
package final class FastCGIPeer {
    package let socket: StreamSocket
    private var unread: [UInt8] = []
    private var open: [UInt16: FastCGIResponse] = [:]
    private var ended: [UInt16: FastCGIResponse] = [:]

    package init(_ address: Address, receiveBuffer: Int32? = nil) throws {
        socket = try StreamSocket(address, receiveBuffer: receiveBuffer)
    }

    package func send(_ request: FastCGIRequest, id: UInt16 = 1, keep: Bool = false) throws {
        try socket.write(request.bytes(id: id, keep: keep))
    }

    package func send(_ record: FastCGIRecord) throws { try socket.write(record.bytes) }

    /// The next record; nil when the responder has closed the connection.
    package func record(seconds: Double = Deadline.patienceSeconds) throws -> FastCGIRecord? {
        while true {
            if let (record, byteCount) = FastCGIRecord.first(in: unread) {
                unread.removeFirst(byteCount)
                guard record.version == 1 else {
                    throw HarnessError("a record of version \(record.version)")
                }
                return record
            }
            let some = try socket.read(seconds: seconds)
            guard !some.isEmpty else {
                guard unread.isEmpty else {
                    throw HarnessError("the connection ended within a record")
                }
                return nil
            }
            unread += some
        }
    }

    /// The complete response to the request of this id; those of other ids are kept for later.
    package func response(_ id: UInt16 = 1) throws -> FastCGIResponse {
        while true {
            if let response = ended.removeValue(forKey: id) { return response }
            guard let record = try record() else {
                throw HarnessError("the connection ended before request \(id) did")
            }
            try take(record)
        }
    }

    /// The answer to the request of this id, which must end well.
    package func answer(_ id: UInt16 = 1) throws -> HTTPAnswer {
        let response = try response(id)
        guard response.protocolStatus == 0, response.appStatus == 0 else {
            throw HarnessError(
                "request \(id) ended with \(response.appStatus), protocol status \(response.protocolStatus)"
            )
        }
        return try response.answer
    }

    /// The document as far as it came for a request that is not ended; waits for its head, and for so much of its body.
    package func partialAnswer(_ id: UInt16 = 1, atLeast count: Int = 0) throws -> HTTPAnswer {
        while true {
            if HTTPHead(open[id]?.stdout ?? []) != nil {
                let answer = try HTTPAnswer(document: open[id]?.stdout ?? [])
                if answer.body.count >= count { return answer }
            }
            guard let record = try record() else { throw HarnessError("the connection ended") }
            try take(record)
        }
    }

    /// Reads to the end of the connection; there must be no more records.
    package func expectClosed() throws {
        if let record = try record() { throw HarnessError("unexpected \(record)") }
    }

    /// Reads whatever comes until the responder closes.
    package func drainToEnd() throws { while try record() != nil {} }

    private func take(_ record: FastCGIRecord) throws {
        switch record.type {
        case FastCGIRecord.stdout: open[record.id, default: .init()].stdout += record.content
        case FastCGIRecord.stderr: open[record.id, default: .init()].stderr += record.content
        case FastCGIRecord.end:
            guard record.content.count == 8 else {
                throw HarnessError("END_REQUEST of another length")
            }
            var response = open.removeValue(forKey: record.id) ?? .init()
            response.appStatus = record.content[..<4].reduce(0) { $0 << 8 | UInt32($1) }
            response.protocolStatus = record.content[4]
            guard ended.updateValue(response, forKey: record.id) == nil else {
                throw HarnessError("request \(record.id) ended twice")
            }
        default: throw HarnessError("unexpected \(record)")
        }
    }
}
