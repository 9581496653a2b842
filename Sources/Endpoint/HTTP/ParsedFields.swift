/// The content of a request's common variables, whatever the settings are: read once for all requests that have them in
/// common.
final class ParsedFields: Sendable {
    /// Decoded; nil if it is malformed.
    let path: [UInt8]?
    let query: Query
    let acceptance: Acceptance
    /// The `wait` of `Prefer`, in seconds.
    let preferredWait: Int?

    init(_ request: borrowing CGIRequest) {
        path = HTTPInterface.takenPath(of: request)
        query = HTTPInterface.takenQuery(of: request)
        acceptance = Acceptance(request.accept)
        preferredWait = Endpoint.preferredWait(request.prefer)
    }
}
