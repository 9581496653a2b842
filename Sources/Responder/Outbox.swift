internal import Core
internal import FastCGICodec

/// What the core wants done, while it is being done.
struct Outbox: ~Copyable {
    var actions = Actions()
    var encoder: PayloadEncoder
    /// Connections that may be idle once the actions are carried out.
    var settling: [ConnectionID] = []

    init(_ codec: Codec) { encoder = PayloadEncoder(codec) }
}
