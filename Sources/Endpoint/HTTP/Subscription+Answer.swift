package import Channels
internal import Configuration
internal import Text

extension Subscription {
    /// The header block of a hold that starts early.
    ///
    /// It has no Content-Length and no Link; white space may follow before the body.
    package var earlyHeaders: [UInt8] {
        var document = CGIDocument(.ok, shape)
        document.line("Content-Type: application/json; charset=utf-8\r\n")
        document.line("Cache-Control: no-store\r\n")
        // Otherwise nginx delays the headers of a buffered answer until it ends.
        document.line("X-Accel-Buffering: no\r\n")
        document.line(CGIDocument.incremental)
        preference(&document)
        return document.openEnded()
    }

    /// The part of a page that fits into an answer of this many bytes, but at least one message.
    package func fitting(_ page: HistoryPage, bytes: Int) -> HistoryPage {
        page.fitting(bytes) { MessageEncoder.size(of: $0) }
    }

    /// Everything that determines the body of an answer within one log. Subscriptions differ in more, above all in the
    /// query that the header repeats; if their contents are equal, the body is made once for all of them.
    package enum Content: Hashable {
        /// Where its client goes on, and the gap it is told of, are in the header.
        case bare(Offset, scanned: Offset, GapReason?)
        case json([Offset], scanned: Offset, more: Bool, GapReason?)
    }

    /// The content of the answer to a held request; nil for a body without messages.
    package func content(of page: HistoryPage) -> Content? {
        guard let first = page.messages.first else { return nil }
        let told = page.telling(owedGap)
        if told.gap != nil, onGap == .fail { return nil }
        return switch form {
        case .bare: .bare(first.offset, scanned: told.scanned, told.gap)
        case .json:
            .json(
                told.messages.map(\.offset),
                scanned: told.scanned,
                more: told.more,
                told.gap
            )
        }
    }

    /// The answer to a held request: the body alone if it started with `earlyHeaders`.
    ///
    /// - Parameters:
    ///   - retryAfterSeconds: when a client that is ended early should come back.
    ///   - body: the body of an answer with equal `content`.
    package func answer(
        _ page: HistoryPage,
        epoch: Epoch,
        retryAfterSeconds: Int? = nil,
        body: [UInt8]? = nil
    ) -> Answer {
        if closes(on: page) { return .closing }
        let page = page.telling(owedGap)
        if startsEarly {
            let cursor = Cursor(epoch: epoch, offset: page.scanned)
            return Answer([], .ok, body: body ?? json(page, cursor, retryAfterSeconds))
        }
        return complete(
            page,
            epoch: epoch,
            revalidating: nil,
            hasWaited: true,
            retryAfterSeconds: retryAfterSeconds,
            body: body
        )
    }

    /// Whether a held request ends by closing. An immediate answer never does: its client would come back at once, for
    /// ever. An owed gap remains owed, because the client comes back with the same cursor; a client that has no cursor
    /// yet gets its first one by an answer.
    private func closes(on page: HistoryPage) -> Bool {
        onTimeout == .close && page.messages.isEmpty && !shape.headOnly
            && (page.gap == nil || onGap == .report) && cookie?.isFirst != true
    }

    /// The status of an end without messages, if it is not an empty batch. A gap is then reported in a header field;
    /// readers of JSON expect it in the body.
    private func statusOfNothing(_ gap: GapReason?, hasWaited: Bool) -> HTTPStatus? {
        let ordinary: HTTPStatus? = form == .bare ? .noContent : nil
        guard form == .bare || gap == nil else { return nil }
        return switch onTimeout {
        case .answer: ordinary
        case .noContent: .noContent
        // A request that does not wait is not told that its wait ran out. `.close` includes waits that cannot end by
        // closing (see `closes`) and those that end as soon as they begin.
        case .unavailable, .close: hasWaited ? .unavailable : ordinary
        }
    }

    /// What the ETag of an immediate poll is compared with.
    fileprivate struct Revalidation {
        let ifNoneMatch: String?
        /// A client that asks for the newest position starts there: an older answer, which browsers show again without
        /// asking when the user goes back, would make it start in the past. Other answers are merely older.
        let mayBeStored: Bool

        var caching: StaticString {
            mayBeStored
                ? "Cache-Control: private, no-cache\r\n" : "Cache-Control: no-store\r\n"
        }
    }

    fileprivate func complete(
        _ page: HistoryPage,
        epoch: Epoch,
        revalidating: Revalidation?,
        hasWaited: Bool,
        cacheSeconds: Int = 0,
        retryAfterSeconds: Int? = nil,
        body: [UInt8]? = nil
    ) -> Answer {
        let mayBeCached = cacheSeconds > 0 && page.more && page.gap == nil
        let cacheSeconds = mayBeCached && page.messages.allSatisfy(\.isLasting) ? cacheSeconds : 0
        if let gap = page.gap, onGap == .fail {
            // Not `scanned`: the cursor must be after every trim mark of these channels, otherwise it would fail again.
            let restart = max(page.newest, page.messages.isEmpty ? page.scanned : .start)
            let cursor = Cursor(epoch: epoch, offset: restart)
            // A page that knows nothing of cursors continues by its cookie; otherwise it would fail here for ever.
            return shape.answer(.gap(gap, restart: cursor)) { keep(cursor, &$0) }
        }
        var position = page.scanned
        if revalidating != nil, !page.more { position = page.newest }
        if page.messages.isEmpty,
            let status = statusOfNothing(page.gap, hasWaited: hasWaited)
        {
            let cursor = Cursor(epoch: epoch, offset: position)
            return nothing(status, page, cursor, retryAfterSeconds)
        }
        if form == .bare, let message = page.messages.first {
            if page.messages.count > 1 { position = message.offset }
            return bare(
                message,
                page,
                Cursor(epoch: epoch, offset: position),
                revalidating,
                cacheSeconds
            )
        }
        let cursor = Cursor(epoch: epoch, offset: position)
        var document = CGIDocument(.ok, shape)
        document.line("Content-Type: application/json; charset=utf-8\r\n")
        if let retryAfterSeconds { document.field("Retry-After: ", decimal: retryAfterSeconds) }
        return finish(
            &document,
            body ?? json(page, cursor, retryAfterSeconds),
            cursor,
            revalidating,
            cacheSeconds
        )
    }

    private func nothing(
        _ status: HTTPStatus,
        _ page: HistoryPage,
        _ cursor: Cursor,
        _ retryAfterSeconds: Int?
    ) -> Answer {
        var document = CGIDocument(status, shape)
        if let retryAfterSeconds { document.field("Retry-After: ", decimal: retryAfterSeconds) }
        document.line("Cache-Control: no-store\r\n")
        bareFields(page, cursor, &document)
        position(cursor, &document)
        guard status == .unavailable else { return document.answerWithoutBody() }
        document.line("Content-Type: application/problem+json\r\n")
        var answer = document.answer(body: Problem.nothingNew.json())
        answer.isOrdinaryEnd = true
        return answer
    }

    private func bare(
        _ message: Message,
        _ page: HistoryPage,
        _ cursor: Cursor,
        _ revalidating: Revalidation?,
        _ cacheSeconds: Int
    ) -> Answer {
        var document = CGIDocument(.ok, shape)
        message.contentFields(&document, for: shape)
        bareFields(page, cursor, &document)
        return finish(&document, message.body, cursor, revalidating, cacheSeconds)
    }

    private func bareFields(
        _ page: HistoryPage,
        _ cursor: Cursor,
        _ document: inout CGIDocument
    ) {
        document.field("Holdfast-Cursor: ") { $0.append(cursor) }
        if let gap = page.gap { document.field("Holdfast-Gap: ", safe: gap.rawValue) }
    }

    /// Adds caching, position and body; 304 if the client has this very body.
    private func finish(
        _ document: inout CGIDocument,
        _ body: [UInt8],
        _ cursor: Cursor,
        _ revalidating: Revalidation?,
        _ cacheSeconds: Int
    ) -> Answer {
        guard let revalidating else {
            if cacheSeconds > 0 {
                document.field("Cache-Control: public, max-age=", decimal: cacheSeconds)
            } else {
                document.line("Cache-Control: no-store\r\n")
            }
            position(cursor, &document)
            return document.answer(body: body)
        }
        var tag: [UInt8] = [UInt8(ascii: "\"")]
        tag.append(cursor)
        tag.append(UInt8(ascii: "-"))
        tag.append(hexadecimal: FNV1a<UInt64>.mixed(body.span))
        tag.append(UInt8(ascii: "\""))
        guard entityTag(tag, isNamedBy: revalidating.ifNoneMatch) else {
            document.line(revalidating.caching)
            document.field("ETag: ") { $0.append(contentsOf: tag) }
            position(cursor, &document)
            return document.answer(body: body)
        }
        var unchanged = CGIDocument(.notModified, shape)
        unchanged.line(revalidating.caching)
        unchanged.field("ETag: ") { $0.append(contentsOf: tag) }
        if form == .bare { unchanged.field("Holdfast-Cursor: ") { $0.append(cursor) } }
        position(cursor, &unchanged)
        return unchanged.answerWithoutBody()
    }

    /// Adds the position to continue from: `Link`, and the cookie.
    private func position(_ cursor: Cursor, _ document: inout CGIDocument) {
        preference(&document)
        if let link {
            document.field("Link: ") { bytes in
                bytes.append("<?")
                bytes.append(contentsOf: link)
                bytes.append("since=")
                bytes.append(cursor)
                bytes.append(">; rel=\"next\"")
            }
        }
        keep(cursor, &document)
    }

    /// Adds the cookie, if the endpoint keeps the cursor in one.
    private func keep(_ cursor: Cursor, _ document: inout CGIDocument) {
        guard let cookie else { return }
        document.field("Set-Cookie: ") { bytes in
            bytes.append(text: cookie.name)
            bytes.append(UInt8(ascii: "="))
            bytes.append(cursor)
            bytes.append("; Path=")
            bytes.append(contentsOf: cookie.path)
            bytes.append("; HttpOnly; SameSite=Lax")
            if cookie.secure { bytes.append("; Secure") }
        }
    }

    private func preference(_ document: inout CGIDocument) {
        if let seconds = preferredWaitSeconds {
            document.field("Preference-Applied: wait=", decimal: seconds)
        }
    }

    /// `{"cursor":…,"messages":[…],"more":…,"gap":…}`
    private func json(
        _ page: HistoryPage,
        _ cursor: Cursor,
        _ retryAfterSeconds: Int?
    ) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(
            page.messages.reduce(256) { $0 + 1 + MessageEncoder.size(of: $1) }
        )
        body.openObject()
        body.append(member: "cursor", cursor)
        body.append(member: "messages")
        body.openArray()
        for message in page.messages {
            body.beginElement()
            MessageEncoder.append(message, to: &body)
        }
        body.closeArray()
        body.append(member: "more", page.more)
        if let gap = page.gap {
            let resumed = page.messages.first?.offset.previous ?? page.scanned
            body.append(member: "gap")
            body.openObject()
            body.append(member: "reason", text: gap.rawValue)
            body.append(member: "resumed", Cursor(epoch: cursor.epoch, offset: resumed))
            body.closeObject()
        } else {
            body.append(nullMember: "gap")
        }
        // In the body, too: if the headers were sent long ago, it can be nowhere else.
        if let retryAfterSeconds {
            body.append(member: "retry_after", retryAfterSeconds)
        }
        body.closeObjectAndLine()
        return body
    }
}

extension Poll {
    /// Why a poll is refused before it was served.
    package enum Refusal { case busy, unavailable }

    /// The answer to a poll that is refused before anything was read for it. It is not an empty batch, which would move
    /// the client's cursor past what was not read. But a client that keeps its cursor in a cookie and has none yet is
    /// given its first one; otherwise it would start after what arrives meanwhile.
    ///
    /// - Parameter end: the end of the log; nil if it is not known.
    package func turnedAway(
        _ reason: Refusal,
        at end: Cursor?,
        retryAfterSeconds: Int
    ) -> Answer {
        let problem: Problem =
            switch reason {
            case .busy: .busy
            case .unavailable: .unavailable
            }
        return unread(problem, at: end, retryAfterSeconds: retryAfterSeconds)
    }

    private func unread(_ problem: Problem, at end: Cursor?, retryAfterSeconds: Int) -> Answer {
        guard start == .now, subscription.cookie != nil, let end else {
            return subscription.shape.answer(problem)
        }
        let nothing = HistoryPage(
            messages: [],
            scanned: end.offset,
            more: false,
            gap: nil,
            newest: end.offset
        )
        return subscription.answer(
            nothing,
            epoch: end.epoch,
            retryAfterSeconds: retryAfterSeconds
        )
    }

    /// Why a poll ends that still waits for the log.
    package enum EarlyEnd {
        case superseded, left, revoked

        /// The reason that a stream reports then.
        package var ofStream: StreamEnd {
            switch self {
            case .superseded: .superseded
            case .left: .left
            case .revoked: .revoked
            }
        }

        var problem: Problem {
            switch self {
            case .superseded: .superseded
            case .left: .left
            case .revoked: .revoked
            }
        }
    }

    /// The answer to a poll that ends before the log was read for it: none to its question. One that would wait for
    /// messages ends as held ones do, without messages and at its position, from which nothing is skipped.
    ///
    /// - Parameters:
    ///   - position: nil if it has none yet.
    ///   - end: as for `turnedAway`.
    package func ended(_ reason: EarlyEnd, at position: Cursor?, end: Cursor?) -> Answer {
        guard waitMilliseconds > 0, let position else {
            var answer = unread(reason.problem, at: end, retryAfterSeconds: 1)
            answer.isOrdinaryEnd = answer.status == HTTPStatus.unavailable.rawValue
            return answer
        }
        let nothing = HistoryPage(
            messages: [],
            scanned: position.offset,
            more: false,
            gap: nil,
            newest: position.offset
        )
        return subscription.answer(nothing, epoch: position.epoch)
    }

    /// The content of the answer at once, as far as its body is worth remembering for others; nil if it is not, or has
    /// none.
    package func content(of page: HistoryPage) -> Subscription.Content? {
        guard page.messages.count > 1, !isRevalidating, subscription.form == .json,
            !subscription.shape.headOnly, subscription.owedGap == nil
        else { return nil }
        return subscription.content(of: page)
    }

    /// The complete answer to a request that is not held.
    ///
    /// - Parameter body: the body of an answer with equal `content`.
    package func answer(_ page: HistoryPage, epoch: Epoch, body: [UInt8]? = nil) -> Answer {
        subscription.complete(
            page,
            epoch: epoch,
            revalidating: isRevalidating
                ? Subscription.Revalidation(
                    ifNoneMatch: ifNoneMatch,
                    mayBeStored: start != .history(.newest)
                ) : nil,
            hasWaited: waitMilliseconds > 0,
            cacheSeconds: cacheSeconds,
            body: body
        )
    }
}

extension Message {
    /// Whether it is known neither to expire nor to be replaced.
    fileprivate var isLasting: Bool { expiresMilliseconds == nil && topic == nil }
}

extension HistoryPage {
    /// The same with an owed gap, unless it has one of its own, which is newer.
    fileprivate func telling(_ owed: GapReason?) -> HistoryPage {
        guard let owed, gap == nil else { return self }
        return HistoryPage(
            messages: messages,
            scanned: scanned,
            more: more,
            gap: owed,
            newest: newest
        )
    }
}
