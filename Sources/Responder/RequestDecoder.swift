internal import Configuration
internal import Endpoint
internal import FastCGI
internal import FastCGICodec
internal import System

/// Makes requests for the core from libfcgi's variables, with the verdict on their tokens. Reactor thread only.
struct RequestDecoder {
    private let codec: Codec
    let memory = RequestMemory()
    private(set) var tokens: TokenCheck

    init(_ codec: Codec, _ settings: Settings) {
        self.codec = codec
        tokens = TokenCheck(settings)
    }

    mutating func reload(_ settings: Settings) { tokens.reload(settings) }

    /// Requests that libfcgi did not take or write.
    var refusals: Int { codec.refusals }

    /// Lends a complete request for the duration of the call.
    ///
    /// - Returns: false if libfcgi refuses.
    mutating func decode(
        _ framed: FramedRequest,
        now: Int64,
        _ body: (borrowing CGIRequest) -> Void
    ) -> Bool {
        guard let (place, sorted) = find(framed) else {
            var request = CGIRequest()
            guard decode(framed, now: now, into: &request) else { return false }
            body(request)
            return true
        }
        guard let place else { return false }
        memory.lend(place) { request in
            unsafe sorted.forEachParticular { unsafe request.setParticular($0, $1) }
            judge(&request, now: now)
            body(request)
        }
        return true
    }

    /// Where in the memory a request is, or is put. As it was sent, it is found only if it has no parts that are
    /// particular, since it would have been kept without them.
    ///
    /// - Returns: nil if it is not for the memory; without a place if libfcgi refuses.
    private func find(_ framed: FramedRequest) -> (place: Int?, SortedRequest)? {
        guard var sorted = unsafe codec.sort(framed, by: { unsafe CGIRequest.use(of: $0) }) else {
            return nil
        }
        if let place = unsafe memory.find(sorted.common) { return (place, sorted) }
        var parts = OwnParts()
        if let divided = unsafe codec.divide(sorted, by: { unsafe parts.part(of: $0, $1) }) {
            sorted = divided
            if let place = unsafe memory.find(sorted.common) { return (place, sorted) }
        }
        guard unsafe sorted.common.count <= RequestMemory.byteLimit else { return nil }
        let place = unsafe memory.keep(sorted.common) { request in
            codec.decode(commonOf: sorted) { decoded in
                unsafe decoded.forEachVariable { unsafe request.set($0, $1) }
            } != nil
        }
        return (place, sorted)
    }

    /// The same for a request that is not kept in the memory, such as one whose body has not come.
    mutating func decode(
        _ framed: FramedRequest,
        now: Int64,
        into request: inout CGIRequest
    ) -> Bool {
        let decoded: Void? = unsafe codec.decode(framed, wanting: CGIRequest.takes) { decoded in
            unsafe decoded.forEachVariable { unsafe request.set($0, $1) }
            request.body = decoded.readBody()
        }
        guard decoded != nil else { return false }
        request.bodyDropped = framed.bodyDropped
        judge(&request, now: now)
        return true
    }

    /// Sets the time, and the verdict on its tokens.
    private mutating func judge(_ request: inout CGIRequest, now: Int64) {
        // Always, since a reload may bring keys before the request's turn comes.
        let wall = SystemClock.wallMilliseconds()
        request.clock = Clock(wallMilliseconds: wall, monotonicMilliseconds: now)
        tokens.judge(&request)
    }
}
