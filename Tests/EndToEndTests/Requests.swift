import Harness
import Testing

extension FastCGIRequest {
    /// Asks for a stream of server-sent events.
    static func events(_ target: String) -> FastCGIRequest {
        FastCGIRequest("GET", target, fields: ["Accept": "text/event-stream"])
    }
}

extension FastCGIRecord {
    /// Asks whether several requests may share a connection; who asks is trusted to end each by its id.
    static let multiplexingQuestion = FastCGIRecord(
        getValues,
        id: 0,
        pairs([("FCGI_MPXS_CONNS", "")])
    )
}

extension HoldfastServer {
    /// A peer that has asked whether it may multiplex, and was answered.
    func multiplexingPeer() throws -> FastCGIPeer {
        let peer = try peer()
        try peer.send(.multiplexingQuestion)
        #expect(try peer.record()?.type == FastCGIRecord.getValuesResult)
        return peer
    }
}
