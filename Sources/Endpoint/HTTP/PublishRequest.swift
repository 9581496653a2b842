package import Channels
internal import Text

/// A POST or DELETE that changes channels.
package struct PublishRequest: Sendable {
    package let publication: Publication
    let shape: Shape
    /// The path before `-/messages/`, as URL bytes.
    let base: [UInt8]
    /// Whether Location precedes Status: HAProxy turns any answer whose Location follows its Status into a 302, while
    /// CGI servers expect Status in the first line.
    var locationIsFirst = false

    package func answer(_ outcome: AppendOutcome) -> Answer {
        switch outcome {
        case .committed(let ids), .repeated(let ids): answer(ids: ids)
        case .conflict: shape.answer(.idempotencyConflict)
        case .overQuota(let seconds): shape.answer(.overQuota(retrySeconds: seconds))
        case .noMoreChannels: shape.answer(.noMoreChannels)
        case .full: shape.answer(.logFull)
        case .logBusy: shape.answer(.logBusy)
        case .unavailable: shape.answer(.unavailable)
        }
    }

    /// The log did not answer in time.
    package func outcomeUnknown() -> Answer { shape.answer(.outcomeUnknown) }

    /// Too many publishers are waiting already.
    package func busy() -> Answer { shape.answer(.busy) }

    /// The answer if the messages were committed, now or when this key was first used; ids in the order of the drafts.
    private func answer(ids: [Cursor]) -> Answer {
        if publication.drafts.isEmpty {
            var document = CGIDocument(.noContent, shape)
            document.line("Cache-Control: no-store\r\n")
            return document.answerWithoutBody()
        }
        guard let first = ids.first, let last = ids.max(by: { $0.offset < $1.offset }) else {
            return shape.answer(.unavailable)
        }
        var body: [UInt8] = []
        body.openObject()
        body.append(member: "status", word: "sent")
        body.append(member: "id", first)
        body.append(member: "cursor", last)
        if publication.drafts.count > 1 {
            body.append(member: "ids")
            body.openArray()
            for id in ids {
                body.beginElement()
                body.append(quoted: id)
            }
            body.closeArray()
        }
        body.closeObjectAndLine()
        var location = base
        location.append("-/messages/")
        location.append(first)
        var document = CGIDocument(.created, shape, location: locationIsFirst ? location : nil)
        document.line("Content-Type: application/json; charset=utf-8\r\n")
        document.line("Cache-Control: no-store\r\n")
        if !locationIsFirst {
            document.field("Location: ") { $0.append(contentsOf: location) }
        }
        return document.answer(body: body)
    }
}
