internal import Core
internal import FastCGICodec

/// The core's actions, while they are carried out.
struct Outbox: ~Copyable {
    var actions = Actions()
    var encoder: PayloadEncoder
    /// Connections that may be idle once the actions are carried out.
    var settling: [ConnectionID] = []

    init(_ codec: Codec) { encoder = PayloadEncoder(codec) }
}
