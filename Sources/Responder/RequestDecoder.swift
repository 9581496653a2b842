internal import Configuration
internal import Endpoint
internal import FastCGI
internal import FastCGICodec
internal import System

/// Requests as the core takes them: from libfcgi's variables, with the verdict on their tokens. Reactor thread only.
struct RequestDecoder {
    private let codec: Codec
    private(set) var tokens: TokenCheck

    init(_ codec: Codec, _ settings: Settings) {
        self.codec = codec
        tokens = TokenCheck(settings)
    }

    mutating func reload(_ settings: Settings) { tokens.reload(settings) }

    /// What libfcgi did not take or write.
    var refusals: Int { codec.refusals }

    /// - Returns: false where libfcgi refuses.
    mutating func decode(
        _ framed: FramedRequest,
        into request: inout CGIRequest,
        now: Int64
    ) -> Bool {
        let decoded = unsafe codec.decode(framed, wanting: CGIRequest.takes) { decoded in
            unsafe decoded.forEachVariable { unsafe request.set($0, $1) }
            request.body = decoded.readBody()
            return true
        }
        guard decoded != nil else { return false }
        // Always, since a reload may bring keys before the request's turn comes.
        let wall = SystemClock.wallMilliseconds()
        request.clock = Clock(wallMilliseconds: wall, monotonicMilliseconds: now)
        tokens.judge(&request)
        return true
    }
}
