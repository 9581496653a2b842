package import Channels
package import Configuration

/// A publish request, ready for the log.
package struct Publication: Sendable {
    /// Message by message, each for one channel after the other.
    package var drafts: [Draft] = []
    /// Channels that lose all their messages.
    package var dropping: [ChannelName] = []
    /// Whose idempotency keys and quota these are.
    package var publisher: String
    /// With which this publisher repeats a request.
    package var idempotencyKey: String?
    package var quota: QuotaLimits?
    package var shape: Shape
    /// The path before `-/messages/`, as URL bytes.
    var base: [UInt8] = []

    /// The messages were committed, now or when this key was used first.
    ///
    /// - Parameter ids: in the order of `drafts`.
    package func answer(ids: [Cursor]) -> Answer {
        if drafts.isEmpty {
            var document = CGIDocument(.noContent, shape)
            document.line("Cache-Control: no-store\r\n")
            return document.answerWithoutBody()
        }
        guard let first = ids.first, let last = ids.max(by: { $0.offset < $1.offset }) else {
            return unavailable()
        }
        var body: [UInt8] = []
        body.append("{\"status\":\"sent\",\"id\":\"")
        body.append(first)
        body.append("\",\"cursor\":\"")
        body.append(last)
        body.append(UInt8(ascii: "\""))
        if drafts.count > 1 {
            body.append(",\"ids\":[")
            for (index, id) in ids.enumerated() {
                body.append(index == 0 ? "\"" : ",\"")
                body.append(id)
                body.append(UInt8(ascii: "\""))
            }
            body.append(UInt8(ascii: "]"))
        }
        body.append("}\n")
        var document = CGIDocument(.created, shape)
        document.line("Content-Type: application/json\r\nCache-Control: no-store\r\n")
        document.field("Location: ") { bytes in
            bytes.append(contentsOf: base)
            bytes.append("-/messages/")
            bytes.append(first)
        }
        return document.answer(body: body)
    }

    /// The key was used for another message.
    package func conflict() -> Answer { shape.answer(.idempotencyConflict) }

    package func overQuota(retrySeconds: Int?) -> Answer {
        shape.answer(.overQuota(retrySeconds: retrySeconds))
    }

    package func full() -> Answer { shape.answer(.logFull) }

    /// Nothing was kept.
    package func unavailable() -> Answer { shape.answer(.unavailable) }

    /// The log did not answer in time.
    package func outcomeUnknown() -> Answer { shape.answer(.outcomeUnknown) }

    /// Too many publishers wait already.
    package func busy() -> Answer { shape.answer(.busy) }
}
