import Channels
import Configuration
import Core

/// What a client understands of the bytes of its request, as they leave the core.
extension World {
    /// Receives bytes; anything wrong with them fails the run.
    ///
    /// - Returns: the endings of a held request that these bytes allow, if they end it.
    func hear(_ number: Int, header: [UInt8], body: [UInt8], ends: Bool) -> Endings {
        guard calls[number].state == .given else {
            fail("call \(number) is sent something after its end", call: number)
            return []
        }
        calls[number].heardAt = now
        if !ends, calls[number].kind == .poll, body.last == UInt8(ascii: " ") {
            if !calls[number].isProbed { checkProbe(number) }
            calls[number].isProbed = true
        }
        noteProbe(number, header: header, body: body)
        switch calls[number].kind {
        case .events: return hearEvents(number, header, body, ends)
        case .lines: return hearLines(number, header, body, ends)
        case .busLines: return []
        default: return hearAnswer(number, header, body, ends)
        }
    }

    // MARK: Answers

    private func hearAnswer(
        _ number: Int,
        _ header: [UInt8],
        _ body: [UInt8],
        _ ends: Bool
    ) -> Endings {
        if !header.isEmpty {
            guard calls[number].received.isEmpty else {
                fail("call \(number) gets a second header", call: number)
                return []
            }
        }
        calls[number].received += header
        calls[number].received += body
        guard ends else { return [] }
        let call = calls[number]
        if call.received.isEmpty {
            // As its endpoint asks if nothing came.
            if call.isClassic, plan.settings.endpoints.first?.onTimeout == .close {
                return [.empty, .limit, .gap, .aborted]
            }
            if !call.isAborted { fail("call \(number) ends without an answer", call: number) }
            return .aborted
        }
        guard let response = CGIResponse(call.received) else {
            if call.isAborted { return .aborted }
            fail("call \(number) is answered with what is no CGI response", call: number)
            return []
        }
        if call.isAborted, response.body.allSatisfy({ $0 == 0x20 }) { return .aborted }
        return judge(number, response)
    }

    private func judge(_ number: Int, _ response: CGIResponse) -> Endings {
        let call = calls[number]
        if call.isHead {
            if !response.body.isEmpty { fail("call \(number): HEAD has a body", call: number) }
        } else if let length = response.field("Content-Length"),
            length != String(response.body.count)
        {
            fail("call \(number): Content-Length is \(length)", call: number)
        }
        guard response.status == 503 || call.statuses.contains(response.status) else {
            fail("call \(number) (\(call.kind)) is answered \(response.status)", call: number)
            return []
        }
        let saysNothingCame = call.isClassic && response.field("Holdfast-Cursor") != nil
        // No other problem is for so short a time.
        let isUnanswered = !saysNothingCame && response.field("Retry-After") == "1"
        let isOrdinaryEnd = response.status == 503 && (saysNothingCame || isUnanswered)
        processes[call.process].account.answers[
            isOrdinaryEnd ? 0 : min(5, response.status / 100)
        ] += 1
        if response.status == 401 {
            if let ends = call.rightEndsAt, ends > now, call.showsToken,
                !processes[call.process].settings.keys.isEmpty
            {
                fail("call \(number) is told that its token is over, which it is not", call: number)
            }
            return .expired
        }
        if [200, 204, 304].contains(response.status) { checkRight(number) }
        if call.asksIfReady { checkReady(number, isReady: response.status == 200) }
        if response.status == 503, call.kind != .other, !saysNothingCame {
            return judgeRefusal(number, response)
        }
        let response = asStored(number, response)
        switch call.kind {
        case .poll: return judgePoll(number, response)
        case .publish: judgePublished(number, response)
        case .presence: judgePresence(number, response)
        case .message, .listing:
            checkFound(number, response)
            if response.status == 200, StrictJSON(response.body) == nil {
                fail("call \(number): its answer is no JSON", call: number)
            }
        case .leave, .other, .events, .lines, .busLines: break
        }
        return []
    }

    private func judgeRefusal(_ number: Int, _ response: CGIResponse) -> Endings {
        guard let problem = StrictJSON(response.body), let code = problem["code"]?.text else {
            fail("call \(number): its 503 is no problem document", call: number)
            return []
        }
        let call = calls[number]
        let process = processes[call.process]
        if call.kind == .publish {
            if code == "busy" { process.account.bounds[Bound.publishQueue.rawValue] += 1 }
            if code == "outcome_unknown" {
                process.account.bounds[Bound.publishTime.rawValue] += 1
            }
        }
        if code == "busy", call.kind == .publish, process.queue.isEmpty, !process.isStopping {
            fail("call \(number) is turned away, and nothing waits for the log", call: number)
        }
        if let newcomer, newcomer.call == number, call.mayBeHeld, code == "busy",
            !process.isStopping, newcomer.waiting < process.core.heldLimit
        {
            fail("call \(number) is turned away, and others could give way", call: number)
        }
        if call.kind == .presence, process.knowsLog, !process.isStopping, !process.isLate,
            process.readsUnderWay == 0, now - process.quietSince > 5500
        {
            fail(
                "call \(number): who is there is not known, and the log is not asked",
                call: number
            )
        }
        if call.kind == .poll { checkEnded(number, code, process) }
        if code == "outcome_unknown", call.kind != .publish {
            fail("call \(number) is told of an unknown outcome", call: number)
        }
        return []
    }

    /// A poll is told the reason for which it was not answered, and only if it had no position to end at.
    private func checkEnded(_ number: Int, _ code: String, _ process: SimulatedProcess) {
        let call = calls[number]
        let isFounded =
            switch (code, cause) {
            case ("superseded", .request), ("superseded", .turn), ("superseded", .word(false)):
                isOvertakenByAnother(number, process)
            case ("left", .leaving), ("left", .turn), ("left", .word(true)):
                call.subscriber != nil
            case ("revoked", .reload): true
            case ("superseded", _), ("left", _), ("revoked", _): false
            case ("busy", .request): number == newcomer?.call
            case ("busy", .leaving), ("busy", .word), ("busy", .reload): false
            default: true
            }
        if !isFounded { fail("call \(number) is told '\(code)' by: \(cause.name)", call: number) }
        guard ["superseded", "left", "revoked"].contains(code), call.wait > 0,
            case .cursor? = call.session?.start
        else { return }
        fail("call \(number) is told '\(code)', and has a position", call: number)
    }

    /// Whether a poll with a cursor ends where it came: what ended it came before the log's answer, so that nothing was
    /// judged for it.
    private func isBack(_ number: Int, at cursor: Cursor) -> Bool {
        let call = calls[number]
        guard call.kind == .poll, !call.isHeld, call.wait > 0,
            call.session?.start == .cursor(cursor)
        else { return false }
        return switch cause {
        case .request: isOvertakenByAnother(number, processes[call.process])
        // Another request may have begun in its turn.
        case .leaving, .word, .turn: call.subscriber != nil
        case .reload: true
        default: false
        }
    }

    private func judgePoll(_ number: Int, _ response: CGIResponse) -> Endings {
        let call = calls[number]
        guard response.status != 403, response.status != 404, var session = call.session else {
            return []
        }
        if response.status == 410 {
            guard let problem = StrictJSON(response.body), problem["code"]?.text == "gap",
                let cursor = problem["cursor"]?.text.flatMap({ Cursor($0) }),
                let reason = problem["reason"]?.text
            else {
                fail("call \(number): its 410 is no gap", call: number)
                return []
            }
            // Everything up to the cursor is given up.
            if let problem = session.skip(to: cursor, reason, in: log) {
                fail("call \(number): \(problem)", call: number)
            }
            calls[number].cursor = cursor
            return .gap
        }
        if call.isBare { return judgeBare(number, response, &session) }
        guard response.status == 200, let answer = PollAnswer(response.body) else {
            fail("call \(number): its answer is none to a poll", call: number)
            return []
        }
        checkCaching(number, response, answer)
        checkVisit(number, answer)
        take(
            number,
            &session,
            answer.messages,
            to: answer.cursor,
            gap: answer.gap?.reason,
            more: answer.more
        )
        if let gap = answer.gap {
            let resumed =
                answer.messages.first.map { $0.id.offset.value - 1 } ?? answer.cursor.offset.value
            if gap.resumed.offset.value != resumed || gap.resumed.epoch != answer.cursor.epoch {
                fail("call \(number): its gap resumes at \(gap.resumed)", call: number)
            }
        }
        if answer.retryAfter != nil { return .limit }
        if answer.gap != nil, !answer.messages.isEmpty { return [.released, .gap] }
        if answer.gap != nil { return [.gap, .empty] }
        return answer.messages.isEmpty ? .empty : .released
    }

    private func judgeBare(
        _ number: Int,
        _ response: CGIResponse,
        _ session: inout Session
    ) -> Endings {
        let call = calls[number]
        guard let cursor = response.field("Holdfast-Cursor").flatMap({ Cursor($0) }),
            response.status == 200 || call.isClassic || response.body.isEmpty
        else {
            let text = String(decoding: call.received, as: UTF8.self)
            fail("call \(number): a bare answer without a cursor: \(text)", call: number)
            return []
        }
        if call.isClassic {
            guard let cookie = response.field("Set-Cookie"),
                cookie.contains("=\(cursor); Path=/sub")
            else {
                fail("call \(number): its cookie is not its cursor", call: number)
                return []
            }
            clients[call.client].cookieName = String(cookie.prefix { $0 != "=" })
        }
        let gap = response.field("Holdfast-Gap")
        var messages: [Session.Given] = []
        if response.status == 200 {
            var text = String(decoding: response.body, as: UTF8.self)
            if response.field("Content-Type")?.hasPrefix("application/json") == true {
                text = StrictJSON(response.body)?.text ?? text
            }
            // A member's messages have the same text each time, so the offset decides.
            let from = session.position.map { $0.epoch == cursor.epoch ? $0.offset.value : 0 }
            let there = log.ledger.messages(
                in: cursor.epoch,
                of: session.channels,
                after: from ?? 0,
                through: cursor.offset.value
            ).filter { $0.record.text == text }
            let given = there.map { id, record in
                Session.Given(id: id, channel: log.names[record.channel].text, text: text)
            }
            guard let first = from == nil ? given.last : given.first else {
                fail("call \(number): '\(text.prefix(40))' was not committed there", call: number)
                return []
            }
            messages = [first]
            // Of equal texts, the one that explains the answer is meant: the answer does not say which.
            for one in given where from != nil {
                var trial = session
                guard trial.take([one], to: cursor, gap: gap, in: log) == nil else { continue }
                messages = [one]
                break
            }
        }
        if call.isClassic, session.position == nil, response.field("Retry-After") != nil {
            // It was ended early, but not without its first cursor.
            calls[number].cursor = cursor
            return [.limit, .empty]
        }
        take(number, &session, messages, to: cursor, gap: gap, more: !messages.isEmpty)
        if response.field("Retry-After") != nil { return .limit }
        if gap != nil { return messages.isEmpty ? [.gap, .empty] : [.gap, .released] }
        return messages.isEmpty ? .empty : .released
    }

    func take(
        _ number: Int,
        _ session: inout Session,
        _ messages: [Session.Given],
        to cursor: Cursor,
        gap: String?,
        more: Bool
    ) {
        if messages.isEmpty, gap == nil, isBack(number, at: cursor) {
            calls[number].cursor = cursor
            return
        }
        if let problem = take(number, messages, to: cursor, gap: gap, &session) {
            fail("call \(number): \(problem)", call: number)
        }
        calls[number].session = session
        calls[number].cursor = cursor
        if !messages.isEmpty { calls[number].gaveMessages = true }
        checkDropped(messages, number)
        // A message whose publisher was told of its commit, by any process, is found at this process, too.
        let call = calls[number]
        guard call.wait == 0, !more, let arrived = call.arrived, arrived.epoch == cursor.epoch,
            cursor.offset < arrived.offset
        else { return }
        let left = log.ledger.messages(
            in: cursor.epoch,
            of: session.channels,
            after: cursor.offset.value,
            through: arrived.offset.value
        )
        for (id, record) in left
        where record.gone == nil && record.expires ?? .max > log.retention {
            fail(
                "call \(number): \(id) was committed when it came, and is not looked at",
                call: number
            )
            return
        }
    }

    /// As the session takes it: from its own position, or, after a gap, from the position of its process.
    func take(
        _ number: Int,
        _ messages: [Session.Given],
        to cursor: Cursor,
        gap: String?,
        _ session: inout Session
    ) -> String? {
        let before = session
        let problem = session.take(messages, to: cursor, gap: gap, in: log)
        guard problem != nil, gap != nil else { return problem }
        for place in calls[number].stood {
            var other = before
            other.stand(at: place)
            guard other.take(messages, to: cursor, gap: gap, in: log) == nil else { continue }
            session = other
            return nil
        }
        return problem
    }

    // MARK: Publishing

    private func judgePublished(_ number: Int, _ response: CGIResponse) {
        let call = calls[number]
        if call.key != nil, response.status != 503 { clients[call.client].unacknowledged = nil }
        if response.status == 204, let begun = call.begunAt, begun.epoch == log.file.epoch {
            for channel in call.drops {
                guard let left = log.file.rows[channel].messages.first,
                    left.offset <= begun.offset
                else { continue }
                fail("call \(number) has deleted everything, and \(left.id) is there", call: number)
            }
        }
        guard response.status == 201 else { return }
        guard let value = StrictJSON(response.body), value["status"]?.text == "sent",
            let first = value["id"]?.text.flatMap({ Cursor($0) }),
            let last = value["cursor"]?.text.flatMap({ Cursor($0) })
        else {
            fail("call \(number): its answer is none to a publisher", call: number)
            return
        }
        var ids = [first]
        if let list = value["ids"]?.elements {
            ids = list.compactMap { $0.text.flatMap { Cursor($0) } }
        }
        guard ids.count == call.drafts.count, ids.last == last, ids.first == first else {
            fail("call \(number): the ids are not those of \(call.drafts.count)", call: number)
            return
        }
        judge(number, ids)
    }

    func judge(_ number: Int, _ ids: [Cursor]) {
        for (id, draft) in zip(ids, calls[number].drafts) {
            guard let record = log.ledger.record(id), record.text == draft.text,
                record.channel == draft.channel
            else {
                fail("call \(number): \(id) is not what it has published", call: number)
                return
            }
        }
    }
}
