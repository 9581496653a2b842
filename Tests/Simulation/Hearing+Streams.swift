import Channels
import Configuration
import Core

/// Streams, as their clients receive them: events and lines.
extension World {
    func hearHeader(_ number: Int, _ header: [UInt8], _ body: [UInt8]) -> [UInt8]? {
        if calls[number].isHeaderComplete {
            if !header.isEmpty { fail("call \(number) gets a second header", call: number) }
            return body
        }
        calls[number].header += header
        calls[number].header += body
        guard let end = CGIResponse.headerEnd(calls[number].header) else { return nil }
        let received = calls[number].header
        calls[number].isHeaderComplete = true
        calls[number].header = []
        guard let response = CGIResponse(Array(received[..<end])) else {
            fail("call \(number): its header is none", call: number)
            return nil
        }
        let type = calls[number].kind == .events ? "text/event-stream" : "application/x-ndjson"
        if response.status != 200 || response.field("Content-Type")?.hasPrefix(type) != true {
            // Refused, like any request.
            guard calls[number].statuses.contains(response.status) || response.status == 503 else {
                fail("call \(number): a stream is answered \(response.status)", call: number)
                return nil
            }
            calls[number].bye = "refused"
            return nil
        }
        checkRight(number)
        return Array(received[end...])
    }

    func hearEvents(
        _ number: Int,
        _ header: [UInt8],
        _ body: [UInt8],
        _ ends: Bool
    ) -> Endings {
        let rest = hearHeader(number, header, body)
        if let rest, calls[number].bye == nil || !rest.isEmpty {
            guard let events = calls[number].events.take(rest) else {
                fail("call \(number): what is sent is no event stream", call: number)
                return []
            }
            for event in events { hear(event, number) }
        }
        guard ends else { return [] }
        return endStream(number, isWhole: calls[number].events.isBetweenEvents)
    }

    func endStream(_ number: Int, isWhole: Bool) -> Endings {
        let call = calls[number]
        if call.isAborted { return [.aborted, call.bye.map { Endings(bye: $0) } ?? []] }
        guard let bye = call.bye else {
            fail("call \(number): its stream ends without a last word", call: number)
            return []
        }
        if !isWhole { fail("call \(number): its stream ends in the middle", call: number) }
        let process = processes[call.process]
        noteBound(bye, process)
        if bye == "lifetime", let ends = call.rightEndsAt, ends <= process.turn ?? now {
            fail("call \(number) ends by its life, and its token is over", call: number)
        }
        return bye == "refused" ? [] : Endings(bye: bye)
    }

    private func hear(_ event: EventReader.Event, _ number: Int) {
        guard calls[number].bye == nil else {
            return fail("call \(number): its stream goes on after its last word", call: number)
        }
        let cursor = event.id.flatMap { Cursor($0) }
        if event.id != nil, cursor == nil {
            return fail("call \(number): the id \(event.id ?? "") is none", call: number)
        }
        guard let value = StrictJSON(Array(event.data.utf8)) else {
            return fail("call \(number): an event's data is no JSON", call: number)
        }
        switch event.name {
        case "hello":
            guard let cursor, value["cursor"]?.text == event.id else {
                return fail("call \(number): its greeting has no cursor", call: number)
            }
            greet(number, at: cursor)
        case "gap":
            guard let cursor, value["cursor"]?.text == event.id,
                let reason = value["reason"]?.text
            else { return fail("call \(number): its gap has no cursor", call: number) }
            tell(number, of: reason, at: cursor)
        case "bye":
            calls[number].bye = value["reason"]?.text ?? ""
            if let cursor { sayGoodbye(number, at: cursor) }
        case "status" where calls[number].session?.channels.isEmpty == true: break
        default:
            guard let cursor, let message = Session.Given(value) else {
                return fail("call \(number): an event is no message", call: number)
            }
            give(number, message, at: cursor)
        }
    }

    func hearLines(
        _ number: Int,
        _ header: [UInt8],
        _ body: [UInt8],
        _ ends: Bool
    ) -> Endings {
        if let rest = hearHeader(number, header, body) {
            guard let lines = calls[number].lineReader.take(rest) else {
                fail("call \(number): what is sent is no line of JSON", call: number)
                return []
            }
            for (kind, value) in lines { hear(kind, value, number) }
        }
        guard ends else { return [] }
        return endStream(number, isWhole: calls[number].lineReader.isBetweenLines)
    }

    /// A line of a stream, over HTTP or on the bus socket.
    func hear(_ kind: String, _ value: StrictJSON, _ number: Int) {
        guard calls[number].bye == nil else {
            return fail("call \(number): its stream goes on after its last word", call: number)
        }
        let cursor = value["cursor"]?.text.flatMap { Cursor($0) }
        switch kind {
        case "hello":
            guard let cursor else {
                return fail("call \(number): its greeting has no cursor", call: number)
            }
            greet(number, at: cursor)
        case "gap":
            guard let cursor, let reason = value["reason"]?.text else {
                return fail("call \(number): its gap has no cursor", call: number)
            }
            tell(number, of: reason, at: cursor)
        case "ping":
            guard let cursor else {
                return fail("call \(number): its ping has no cursor", call: number)
            }
            give(number, nil, at: cursor)
        case "bye":
            calls[number].bye = value["reason"]?.text ?? ""
            if let cursor { sayGoodbye(number, at: cursor) }
        case "message":
            guard let message = Session.Given(value) else {
                return fail("call \(number): a line is no message", call: number)
            }
            give(number, message, at: cursor ?? message.id)
        default: fail("call \(number): a line of the kind \(kind)", call: number)
        }
    }

    private func greet(_ number: Int, at cursor: Cursor) {
        guard !calls[number].isGreeted else {
            return fail("call \(number) is greeted twice", call: number)
        }
        calls[number].isGreeted = true
        calls[number].cursor = cursor
        if let problem = calls[number].session?.greet(at: cursor, in: log) {
            fail("call \(number): \(problem)", call: number)
        }
    }

    private func tell(_ number: Int, of reason: String, at cursor: Cursor) {
        if var session = calls[number].session {
            if let problem = take(number, [], to: cursor, gap: reason, &session) {
                fail("call \(number): \(problem)", call: number)
            }
            calls[number].session = session
        }
        calls[number].cursor = cursor
    }

    private func give(_ number: Int, _ message: Session.Given?, at cursor: Cursor) {
        guard calls[number].isGreeted else {
            return fail("call \(number): something is sent before the greeting", call: number)
        }
        let messages = message.map { [$0] } ?? []
        if let problem = calls[number].session?.take(messages, to: cursor, gap: nil, in: log) {
            fail("call \(number): \(problem)", call: number)
        }
        calls[number].cursor = cursor
        if message != nil { calls[number].gaveMessages = true }
        checkDropped(messages, number)
    }

    /// The position after which the client is told to continue: it has been given everything before.
    private func sayGoodbye(_ number: Int, at cursor: Cursor) {
        if calls[number].isGreeted || calls[number].session?.position != nil {
            if calls[number].session?.position != cursor,
                let problem = calls[number].session?.take([], to: cursor, gap: nil, in: log)
            {
                return fail("call \(number), in its last word: \(problem)", call: number)
            }
        }
        calls[number].cursor = cursor
    }
}
