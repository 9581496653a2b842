import Channels
import Configuration
import Core

/// A question that a client asks again and again, and the answer that it keeps.
struct Visit {
    let query: String
    let start: Session.Start
    let limit: Int
    let isBare: Bool
    /// The newest answer, as it came, with its entity tag.
    var kept: (tag: String, bytes: [UInt8])?
    /// What the log had for it when it came last.
    var standing: Standing?

    struct Standing: Equatable {
        /// The number of its file, and the end of that.
        let file: Int
        let head: Int64
        let messages: [Cursor]
    }
}

/// Answers that clients and caches keep.
extension World {
    /// Asks for the newest messages, or the oldest, without waiting; also with the tag of what it has.
    func visit(_ client: Client) -> Call {
        let made = client.visit ?? newVisit(client)
        clients[client.number].visit = made
        var call = newCall(client, .poll)
        call.session = Session(channels: client.channels, start: made.start, head: newest)
        call.isBare = made.isBare
        call.visit = made
        call.variables = [
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/push/\(path(client.channels))?\(made.query)"),
            ("QUERY_STRING", made.query),
        ]
        if made.isBare { call.statuses.append(204) }
        if client.channels.contains(Plan.closableChannel) { call.statuses.append(403) }
        guard let kept = made.kept else { return call }
        call.statuses.append(304)
        let field =
            switch chance.below(4) {
            case 0: "W/\(kept.tag)"
            case 1: "\"other\", \(kept.tag)"
            default: kept.tag
            }
        call.variables.append(("HTTP_IF_NONE_MATCH", field))
        return call
    }

    private func newVisit(_ client: Client) -> Visit {
        let count = chance.between(1, 5)
        let (since, start): (String, Session.Start) =
            chance.happens(500) ? ("first", .first) : ("last:\(count)", .last(count))
        let limit = chance.between(1, 6)
        let isBare = chance.happens(200)
        let query = "since=\(since)&" + (isBare ? "format=bare" : "limit=\(limit)")
        return Visit(
            query: query + identity(client),
            start: start,
            limit: limit,
            isBare: isBare
        )
    }

    /// Its process gets it.
    func noteVisit(_ number: Int) {
        let call = calls[number]
        guard let visit = call.visit else { return }
        calls[number].visit?.standing = standing(visit, call)
    }

    private func standing(_ visit: Visit, _ call: Call) -> Visit.Standing {
        var found: [Cursor] = []
        for channel in call.session?.channels ?? [] {
            var messages = log.file.rows[channel].messages.filter {
                $0.expiresMilliseconds ?? .max > log.retention
            }
            if case .last(let count) = visit.start {
                let most = processes[call.process].settings.limits.answerMessages
                messages = messages.suffix(min(count, most))
            }
            found += messages.map(\.id)
        }
        return Visit.Standing(
            file: log.file.number,
            head: log.file.head,
            messages: found.sorted { $0.offset < $1.offset }
        )
    }

    /// Whether everyone can read a message in the log.
    func isThere(_ id: Cursor?) -> Bool {
        guard let id else { return false }
        let message = log.file.message(id, now: log.retention) { log.place(of: $0) ?? 0 }
        // One of another channel is not told to everyone.
        return message.flatMap { log.place(of: $0.channel) }.map { $0 < Plan.closableChannel }
            ?? false
    }

    /// One that was there when the request came, and still is, is found.
    func checkFound(_ number: Int, _ response: CGIResponse) {
        let call = calls[number]
        if response.status == 404, call.wantedIn == log.file.number, isThere(call.wanted) {
            fail("call \(number): the message that it asks for is there", call: number)
        }
    }

    /// The answer as its client has it: that which it has kept, if it is told that this has not changed.
    func asStored(_ number: Int, _ response: CGIResponse) -> CGIResponse {
        guard let visit = calls[number].visit else { return response }
        let tag = response.field("ETag")
        if response.status == 304 {
            guard let kept = visit.kept, tag == kept.tag, response.body.isEmpty,
                let stored = CGIResponse(kept.bytes)
            else {
                fail("call \(number) is told that something else has not changed", call: number)
                return response
            }
            count("answers unchanged")
            return stored
        }
        guard response.status == 200 else { return response }
        guard let tag else {
            fail("call \(number): its answer has no entity tag", call: number)
            return response
        }
        if let kept = visit.kept, let stored = CGIResponse(kept.bytes) {
            let isSame =
                stored.body.elementsEqual(response.body)
                && stored.field("Holdfast-Cursor") == response.field("Holdfast-Cursor")
            if (tag == kept.tag) != isSame {
                fail("call \(number): the tag \(tag) is that of another answer", call: number)
            }
            if isSame { fail("call \(number) is sent again what it has", call: number) }
        }
        clients[calls[number].client].visit?.kept = (tag, calls[number].received)
        return response
    }

    /// If the log had the same when the request came and has it now, that is what is answered.
    func checkVisit(_ number: Int, _ answer: PollAnswer) {
        guard let visit = calls[number].visit, let before = visit.standing else { return }
        let now = standing(visit, calls[number])
        guard now == before else { return }
        let ids = answer.messages.map(\.id)
        guard now.messages.starts(with: ids), answer.more == (ids.count < now.messages.count) else {
            return fail("call \(number) is answered \(ids), of \(now.messages)", call: number)
        }
    }

    /// Only a page of history that no later message changes is kept by caches that serve others.
    func checkCaching(_ number: Int, _ response: CGIResponse, _ answer: PollAnswer) {
        let call = calls[number]
        let process = processes[call.process]
        guard let field = response.field("Cache-Control"), call.coming > process.settledAt else {
            return
        }
        var isPage = call.wait == 0 && answer.more && answer.gap == nil && call.link == nil
        if case .cursor? = call.session?.start {} else { isPage = false }
        for place in call.session?.channels ?? []
        where place == Plan.grantedChannel || place == Plan.closableChannel && process.isClosed {
            isPage = false
        }
        let isLasting = answer.messages.allSatisfy { message in
            log.ledger.record(message.id).map { $0.topic == nil && $0.expires == nil } ?? false
        }
        let seconds = process.settings.hold.cacheHistorySeconds
        let isKept = isPage && isLasting && seconds > 0
        let expected =
            isKept
            ? "public, max-age=\(seconds)" : call.visit == nil ? "no-store" : "private, no-cache"
        if isKept { count("pages for caches") }
        if field != expected, !(call.wait == 0 && field == "private, no-cache" && !isKept) {
            fail("call \(number): caches are told '\(field)', not '\(expected)'", call: number)
        }
    }
}
