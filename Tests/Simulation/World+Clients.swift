import Channels
import Configuration
import Core
import Endpoint
import FastCGI

/// The actions of clients.
extension World {
    /// Has one client without anything under way begin something. False if none is ready.
    func act() -> Bool {
        let first = chance.below(clients.count)
        for step in clients.indices {
            let number = (first + step) % clients.count
            let client = clients[number]
            guard client.call == nil, client.nextAt <= now, !muted.contains(number) else {
                continue
            }
            if client.kind == .bus { return command(number) }
            begin(number)
            return true
        }
        return false
    }

    func begin(_ number: Int) {
        let client = clients[number]
        var call: Call
        switch client.kind {
        case .poller where chance.happens(30): call = aside(client)
        case .poller where chance.happens(60): call = visit(client)
        case .poller: call = poll(client)
        case .classic: call = classic(client)
        case .streamer where chance.happens(40): call = watch(client)
        case .streamer: call = stream(client)
        case .publisher: call = publication(client)
        case .reader: call = aside(client)
        case .bus: return
        }
        call.address = client.address
        let frontEnd = FrontEnd.all[client.frontEnd]
        call.variables.append(("SERVER_SOFTWARE", frontEnd.software))
        if client.address >= 0 {
            call.variables.append(("REMOTE_ADDR", "192.0.2.\(client.address + 1)"))
        }
        if chance.happens(30) {
            call.wantsProbes = chance.happens(500)
            call.variables.append(("HOLDFAST_PROBE", call.wantsProbes ? "on" : "off"))
        }
        if frontEnd.isForwarded { call.variables.append(("HTTP_VIA", "1.1 proxy")) }
        if call.session?.channels.contains(Plan.grantedChannel) == true {
            switch chance.below(10) {
            case 0: call.statuses = [401, 403]
            case 1, 2: showLink(&call)
            case 3...5:
                call.rightEndsAt = now + Int64(chance.between(100, 40_000))
                // Without its key, the token means nothing.
                call.statuses += [401, 403]
            default: call.variables.append(("HOLDFAST_READ", "granted"))
            }
        }
        tally.calls += 1
        clients[number].call = call.number
        calls.append(call)
        // What a front end has not received completely does not exist yet.
        if chance.happens(100) { waiting.append(call.number) } else { give(call.number) }
    }

    func newCall(_ client: Client, _ kind: Call.Kind) -> Call {
        var call = Call(number: calls.count, client: client.number, kind: kind)
        call.subscriber = client.subscriber
        call.member = client.member
        return call
    }

    func path(_ channels: [Int]) -> String {
        channels.map { log.names[$0].text.replacing("~", with: "%7E") }.joined(separator: ",")
    }

    func identity(_ client: Client) -> String {
        var query = ""
        if let subscriber = client.subscriber {
            query += "&subscriber=subscriber-0000\(subscriber)"
        }
        if let member = client.member { query += "&name=\(Plan.memberNames[member])" }
        return query
    }

    /// Where a reader without a cursor begins; sometimes one with an invalid one.
    private func start(_ client: Client, waits: Bool) -> (query: String, Session.Start) {
        let newest = Cursor(epoch: log.file.epoch, offset: Offset(log.file.head))
        if let cursor = client.cursor, chance.happens(930) {
            return ("since=\(cursor)", .cursor(cursor))
        }
        switch chance.below(10) {
        case 0, 1: return ("since=first", .first)
        case 2:
            let count = chance.between(1, 5)
            return ("since=last:\(count)", .last(count))
        case 3:
            let wrong = Cursor("zzzzzzzz-\(chance.below(9) + 1)") ?? newest
            return ("since=\(wrong)", .cursor(wrong))
        case 4:
            let future = Cursor(epoch: newest.epoch, offset: Offset(newest.offset.value + 1000))
            return ("since=\(future)", .cursor(future))
        default: return waits ? ("", .now(newest)) : ("", .newest)
        }
    }

    var newest: Cursor { Cursor(epoch: log.file.epoch, offset: Offset(log.file.head)) }

    private func poll(_ client: Client) -> Call {
        var call = newCall(client, .poll)
        let most = plan.settings.hold.maxWaitSeconds
        // Many pages wait for the same time.
        call.wait =
            chance.happens(200) ? 0 : chance.happens(600) ? most : chance.between(1, most + 5)
        let (since, start) = start(client, waits: call.wait > 0)
        call.session = Session(channels: client.channels, start: start, head: newest)
        var query = since + (since.isEmpty ? "" : "&") + "wait=\(call.wait)" + identity(client)
        if chance.happens(150) {
            call.isBare = true
            query += "&format=bare"
            call.statuses.append(204)
        } else if chance.happens(200) {
            query += "&limit=\(chance.between(1, 4))"
        }
        if chance.happens(100) {
            call.failsOnGap = true
            query += "&on_gap=fail"
            call.statuses.append(410)
        }
        if client.channels.contains(Plan.closableChannel) { call.statuses.append(403) }
        call.variables = [
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/push/\(path(client.channels))?\(query)"),
            ("QUERY_STRING", query),
        ]
        return call
    }

    private func stream(_ client: Client) -> Call {
        let isEvents = client.number % 2 == 0
        var call = newCall(client, isEvents ? .events : .lines)
        let (since, start) = start(client, waits: true)
        call.session = Session(channels: client.channels, start: start)
        var query = "stream=\(isEvents ? "sse" : "ndjson")" + identity(client)
        if case .cursor(let cursor) = start, chance.happens(500) {
            call.variables.append(("HTTP_LAST_EVENT_ID", "\(cursor)"))
        } else if !since.isEmpty {
            query += "&" + since
        }
        if client.channels.contains(Plan.closableChannel) { call.statuses.append(403) }
        call.variables += [
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/push/\(path(client.channels))?\(query)"),
            ("QUERY_STRING", query),
        ]
        return call
    }

    /// A page from before Holdfast, whose cursor is in a cookie.
    private func classic(_ client: Client) -> Call {
        var call = newCall(client, .poll)
        (call.isBare, call.isClassic) = (true, true)
        (call.subscriber, call.member) = (nil, nil)
        call.statuses = [200, 204]
        call.wait = plan.settings.endpoints.first?.waitSeconds ?? 0
        var start = Session.Start.now(Cursor(epoch: log.file.epoch, offset: .start))
        call.variables = [
            ("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/sub"), ("QUERY_STRING", ""),
        ]
        if let name = client.cookieName, let cursor = client.cursor {
            start = .cursor(cursor)
            call.variables.append(("HTTP_COOKIE", "a=b; \(name)=\(cursor)"))
        }
        call.session = Session(channels: Plan.classicChannels, start: start)
        return call
    }

    /// The operator watches the figures.
    private func watch(_ client: Client) -> Call {
        var call = newCall(client, .events)
        let newest = Cursor(epoch: log.file.epoch, offset: Offset(log.file.head))
        call.session = Session(channels: [], start: .now(newest))
        call.subscriber = nil
        call.variables = [
            ("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/push/-/status?stream=sse"),
            ("QUERY_STRING", "stream=sse"), ("HOLDFAST_OPERATOR", "1"),
        ]
        return call
    }

    /// A text that was not published before.
    func newText() -> String {
        lastText += 1
        var text = "m\(lastText)"
        if chance.happens(100) { text += " \"\u{e9}\\\n\t" }
        if chance.happens(60) {
            text += String(repeating: "x", count: chance.one(of: [50, 300]) ?? 50)
        }
        if chance.happens(plan.longTexts) {
            let count = plan.longTexts > 100 ? chance.between(3000, 20_000) : 3000
            text += String(repeating: "x", count: count)
        }
        return text
    }

    private func publication(_ client: Client) -> Call {
        var call = newCall(client, .publish)
        if let number = client.unacknowledged {
            // It does not know whether that was published. With the same key, it is published once.
            count("publications repeated")
            let before = calls[number]
            (call.drafts, call.body, call.key) = (before.drafts, before.body, before.key)
            call.statuses = [201, 507, 429]
            call.variables = before.variables.filter {
                !["SERVER_SOFTWARE", "REMOTE_ADDR", "HTTP_VIA", "HOLDFAST_PROBE"].contains($0.name)
            }
            clients[client.number].unacknowledged = call.number
            return call
        }
        // Only Holdfast publishes presence.
        let channel = chance.below(Plan.openCount)
        if chance.happens(90) {
            call.drops = [channel]
            call.statuses = [204, 507, 429]
            call.variables = [
                ("REQUEST_METHOD", "DELETE"), ("REQUEST_URI", "/push/\(path([channel]))"),
            ]
            return call
        }
        call.statuses = [201, 507, 429]
        call.variables = [
            ("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/push/\(path([channel]))"),
        ]
        if chance.happens(150) {
            let texts = (0..<chance.between(1, 6)).map { _ in "j\(newText().prefix(12))" }
                .map { $0.filter { $0.isLetter || $0.isNumber } }
            call.drafts = texts.map { (channel, $0) }
            call.body = Array(texts.map { "\"\($0)\"\n" }.joined().utf8)
            call.variables.append(("CONTENT_TYPE", "application/x-ndjson"))
        } else {
            let text = newText()
            call.drafts = [(channel, text)]
            call.body = Array(text.utf8)
            call.variables.append(("CONTENT_TYPE", "text/plain"))
        }
        call.variables.append(("CONTENT_LENGTH", "\(call.body.count)"))
        if chance.happens(100) { call.variables.append(("HTTP_TTL", "\(chance.between(1, 20))")) }
        if chance.happens(100), call.drafts.count == 1 {
            call.variables.append(("HTTP_TOPIC", "t\(chance.below(3))"))
        }
        if chance.happens(300) {
            call.key = "k\(call.number)"
            call.variables.append(("HTTP_IDEMPOTENCY_KEY", "k\(call.number)"))
            clients[client.number].unacknowledged = call.number
        }
        return call
    }

    /// A request other than for messages.
    private func aside(_ client: Client) -> Call {
        var call: Call
        func get(_ path: String) -> [(name: String, value: String)] {
            [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/push/\(path)")]
        }
        switch chance.below(9) {
        case 0, 1, 2:
            call = newCall(client, .leave)
            call.statuses = [204]
            call.body = Array("subscriber=subscriber-0000\(chance.below(6))".utf8)
            call.variables = [
                ("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/push/-/leave"),
                ("CONTENT_TYPE", "text/plain"), ("CONTENT_LENGTH", "\(call.body.count)"),
            ]
        case 3, 4:
            call = newCall(client, .presence)
            // A reload may have taken the section away.
            call.statuses.append(404)
            let room = chance.one(of: Plan.presenceChannels) ?? 4
            call.variables = get("-/presence/\(log.names[room].text)")
        case 5:
            call = newCall(client, .message)
            call.statuses = [200, 404]
            let offset = chance.between(1, max(1, Int(log.file.head)))
            call.variables = get("-/messages/\(log.file.epoch)-\(String(offset, radix: 16))")
            call.wanted = Cursor(epoch: log.file.epoch, offset: Offset(Int64(offset)))
        case 6:
            call = newCall(client, .listing)
            call.variables = get("-/channels") + [("HOLDFAST_OPERATOR", "1")]
        case 7:
            call = newCall(client, .other)
            call.variables = head(client)
            call.isHead = true
        default:
            call = newCall(client, .other)
            let page = chance.one(of: ["-/live", "-/ready", "-/nothing", "-/status", "-/metrics"])
            call.statuses = [200, 404]
            call.variables = get(page ?? "") + [("HOLDFAST_OPERATOR", "1")]
            call.asksIfReady = page == "-/ready"
            if chance.happens(100) {
                (call.variables, call.asksIfReady) = ([("REQUEST_URI", "/polling")], false)
            }
        }
        if call.kind == .other, chance.happens(50) {
            (call.arrival, call.statuses) =
                chance.happens(500) ? (.refused, []) : (.oversized, [431])
            (call.isHead, call.asksIfReady) = (false, false)
        }
        return call
    }

    /// HEAD asks for no more than an answer at once, whatever the parameters say.
    private func head(_ client: Client) -> [(name: String, value: String)] {
        let query = ["wait=20", "stream=sse", "since=first&wait=3"][chance.below(3)]
        let path = chance.happens(200) ? "-/status" : log.names[chance.below(3)].text
        return [
            ("REQUEST_METHOD", "HEAD"), ("REQUEST_URI", "/push/\(path)?\(query)"),
            ("QUERY_STRING", query), ("HOLDFAST_OPERATOR", "1"),
        ]
    }

    /// A client leaves in the middle of its request.
    func leave() {
        guard let number = chance.one(of: clients.indices.filter { clients[$0].call != nil }) else {
            return
        }
        leave(number)
    }

    func leave(_ number: Int) {
        guard let call = clients[number].call else { return }
        clients[number].finish(now, &chance)
        note("client \(number) leaves", call: call)
        switch calls[call].state {
        case .waiting: waiting.removeAll { $0 == call }
        case .ended: break
        case .given: departed(call)
        }
    }
}
