/// Whether a message published on this machine reaches a client that is held through the site.
package enum DeliveryObservation: Equatable, Sendable {
    case arrived
    case missing(seconds: Int)
    case notHeld(status: Int)
    /// With the reason.
    case notPublished(String)

    package func finding(behind servers: ServerChain) -> Finding {
        switch self {
        case .arrived: Finding(.delivery, .ok, "A message reaches a client whose request is held.")
        case .missing(let seconds):
            Finding(
                .delivery,
                .problem,
                "A message published on the bus does not reach a held client within \(seconds) s.",
                [
                    "directory = …   (in [bus] of holdfast.ini: the same for this bus and for the responder of this URL)"
                ]
            )
        case .notHeld(let status): Finding(.delivery, .unknown, "No request is held (\(status)).")
        case .notPublished(let why):
            Finding(.delivery, .unknown, "Nothing can be published: \(why)")
        }
    }
}
