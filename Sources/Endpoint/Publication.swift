package import Channels

/// A publish request: drafts ready for the log.
package struct Publication: Sendable {
    /// One for each channel, equal but for it.
    package let drafts: [Draft]
    /// Who publishes, and the key with which this publisher repeats a request.
    package let idempotency: (publisher: String, key: String)?
    package let shape: Shape
    /// The path before `-/messages/`, as URL bytes.
    let base: [UInt8]

    /// The messages were committed, now or when this key was used first.
    ///
    /// - Parameter ids: in the order of `drafts`.
    package func answer(ids: [Cursor]) -> Answer {
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

    package func full() -> Answer { shape.answer(.logFull) }

    /// Nothing was kept.
    package func unavailable() -> Answer { shape.answer(.unavailable) }

    /// The log did not answer in time.
    package func outcomeUnknown() -> Answer { shape.answer(.outcomeUnknown) }

    /// Too many publishers wait already.
    package func busy() -> Answer { shape.answer(.busy) }
}
