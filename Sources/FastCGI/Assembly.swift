/// A request that is being assembled from records that arrive in pieces or between those of other ids.
///
/// Its records are stored rewritten, without padding and with neighbouring records of a stream joined, so that the size
/// is bounded by the limits and not by how small a peer cuts its records.
struct Assembly {
    enum Stage { case params, body }

    let id: RequestID
    let keepConnection: Bool
    /// The position of its BEGIN_REQUEST in the connection's bytes.
    let begunAt: Int
    var stage = Stage.params
    var bodyDropped = false
    /// Answered before it was complete: the rest is skipped, and nothing of it is stored.
    var isAnswered = false
    var paramsOversized = false

    var pairs = PairCheck()
    var paramsBytes = 0
    var bodyBytes = 0
    var records: [UInt8]
    var lastHeader = 0
    var bodyStart = 0

    /// The memory that it uses.
    var storedBytes: Int { records.capacity }

    /// Whether PARAMS may end here.
    var pairsAreWhole: Bool { pairs.isWhole }
    var pairsAreReadable: Bool { pairs.isReadable }

    init(id: RequestID, keepConnection: Bool, begunAt: Int) {
        self.begunAt = begunAt
        self.id = id
        self.keepConnection = keepConnection
        records = Record.beginRequest(id: id, keepConnection: keepConnection)
    }

    mutating func takeParams(_ bytes: UnsafeRawBufferPointer, limits: FramingLimits) {
        unsafe pairs.take(bytes)
        paramsBytes += bytes.count
        // Given up in the middle of them.
        if isAnswered { return }
        if paramsBytes > limits.paramsBytes { paramsOversized = true }
        if isRefused {
            records = []
        } else {
            unsafe append(bytes, type: Record.params)
        }
    }

    mutating func endParams() {
        stage = .body
        guard !isRefused, !isAnswered else { return }
        appendHeader(type: Record.params)
        bodyStart = records.count
    }

    /// Lends the request as if its body were empty, and handles the body as the verdict says.
    mutating func judge(_ judge: (FramedRequest) -> BodyVerdict) {
        guard !isRefused, !isAnswered else { return }
        var verdict = BodyVerdict.keep
        endBody { verdict = judge($0) }
        records.removeLast(RecordHeader.byteCount)
        lastHeader = bodyStart - RecordHeader.byteCount
        switch verdict {
        case .keep: break
        case .drop: bodyDropped = true
        case .answered: passOver()
        }
    }

    /// Marks the request as answered.
    mutating func passOver() {
        isAnswered = true
        records = []
    }

    mutating func takeBody(_ bytes: UnsafeRawBufferPointer, limits: FramingLimits) {
        guard !isRefused, !bodyDropped, !isAnswered else { return }
        bodyBytes += bytes.count
        if bodyBytes > limits.bodyBytes {
            bodyDropped = true
            bodyBytes = 0
            // A new array, because the old one keeps the capacity that the body needed.
            records = Array(records[..<bodyStart])
        } else {
            unsafe append(bytes, type: Record.stdin)
        }
    }

    /// Passes the request on for the duration of the call.
    mutating func endBody(_ body: (FramedRequest) -> Void) {
        appendHeader(type: Record.stdin)
        unsafe records.withUnsafeBytes { records in
            body(
                unsafe FramedRequest(
                    id: id,
                    keepConnection: keepConnection,
                    bodyDropped: bodyDropped,
                    bodyBytes: bodyBytes,
                    records: records
                )
            )
        }
    }

    private var isRefused: Bool { paramsOversized || !pairs.isReadable }

    private mutating func appendHeader(type: UInt8) {
        lastHeader = records.count
        RecordHeader(type: type, id: id.value, contentLength: 0).append(to: &records)
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer, type: UInt8) {
        var at = 0
        while at < bytes.count {
            var length = records.count - lastHeader - RecordHeader.byteCount
            if records[lastHeader + 1] != type || length == Record.maximumContentLength {
                appendHeader(type: type)
                length = 0
            }
            let count = min(Record.maximumContentLength - length, bytes.count - at)
            unsafe records.append(
                contentsOf: UnsafeRawBufferPointer(rebasing: bytes[at..<at + count])
            )
            length += count
            records[lastHeader + 4] = UInt8(length >> 8)
            records[lastHeader + 5] = UInt8(truncatingIfNeeded: length)
            at += count
        }
    }
}
