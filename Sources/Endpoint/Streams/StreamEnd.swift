/// Why a stream ends.
package enum StreamEnd: String, Sendable {
    /// The process ends; another may take over.
    case shutdown
    /// It has reached its longest life; the client continues with a new one.
    case lifetime
    /// A newer request of the same subscriber has replaced it. The client does not come back.
    case superseded
    /// The client announced that it leaves.
    case left
    /// A newer request took its place because a bound was reached.
    case limit
    /// The client sent something that cannot be understood.
    case error
    /// The client did not read fast enough.
    case slow
    /// The log cannot be read.
    case unavailable
    /// The client's right has ended, as its token or link said. It needs another one.
    case expired
    /// The rights have changed. A client that comes back is judged anew.
    case revoked
}
