internal import Core
internal import FastCGI
internal import FastCGICodec

/// Payloads as FastCGI records, each encoded once for all its recipients.
struct PayloadEncoder {
    /// A payload in one piece, or with a long body that others share.
    struct Encoded {
        let first: EncodedAnswer
        var rest: EncodedAnswer?
    }

    private let codec: Codec
    /// By the payload's index; nil: not encoded yet.
    private var encoded: ContiguousArray<Encoded?> = []
    private var bodies: ContiguousArray<EncodedAnswer?> = []
    /// The number of payloads in this drain; the elements after them are empty.
    private var count = 0

    /// Copying this many bytes is cheaper than a further system call for each request.
    private static let joinedBytes = 16_384

    private static let end = Encoded(
        first: EncodedAnswer(
            bytes: Record.endRequest(id: .first, protocolStatus: .requestComplete)
        )
    )

    init(_ codec: Codec) { self.codec = codec }

    /// Discards the payloads of the last drain.
    mutating func begin(count: Int) {
        if encoded.count > 4096 {
            (encoded, bodies) = ([], [])
        } else {
            for index in 0..<self.count {
                encoded[index] = nil
                bodies[index] = nil
            }
        }
        self.count = count
        while encoded.count < count {
            encoded.append(nil)
            bodies.append(nil)
        }
    }

    mutating func records(of payload: Payload, at index: Int) -> Encoded {
        if let known = encoded[index] { return known }
        let made = make(payload)
        encoded[index] = made
        return made
    }

    private mutating func make(_ payload: Payload) -> Encoded {
        switch payload.form {
        case .end: return Self.end
        case .plain: return Encoded(first: EncodedAnswer(bytes: payload.body))
        case .part: return Encoded(first: codec.encodePart(payload.body))
        case .answer: break
        }
        let body = body(of: payload)
        guard !payload.header.isEmpty else { return Encoded(first: body) }
        // Short payloads are one piece; a long body is shared by all answers that contain it.
        guard body.bytes.count > Self.joinedBytes else {
            return Encoded(first: codec.encode(header: payload.header, before: body))
        }
        return Encoded(first: codec.encode(header: payload.header), rest: body)
    }

    private mutating func body(of payload: Payload) -> EncodedAnswer {
        let index = Int(payload.bodyIndex)
        if let known = bodies[index] { return known }
        let made = codec.encode(payload.body)
        bodies[index] = made
        return made
    }
}
