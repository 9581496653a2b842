internal import Core
internal import FastCGICodec

/// The core's actions, while they are carried out: payloads encoded, and what is to be done after all of them.
struct Outbox: ~Copyable {
    private var actions = Actions()
    private var encoder: PayloadEncoder
    /// Connections that may be idle once the actions are carried out.
    private var settling: [ConnectionID] = []

    init(_ codec: Codec) { encoder = PayloadEncoder(codec) }

    // MARK: Actions

    /// Takes the actions that the core has; `clear` follows.
    mutating func take(from core: inout Core) {
        core.exchange(&actions)
        encoder.begin(count: actions.payloads.count)
    }

    /// The actions taken, in order. A copy, so that no access to the buffer is open while an action is carried out.
    var entries: ContiguousArray<Action> { actions.entries }

    /// The payload of a send, encoded once for all its recipients.
    mutating func records(of send: Send) -> PayloadEncoder.Encoded {
        let index = Int(send.payload)
        return encoder.records(of: actions.payloads[index], at: index)
    }

    func errand(_ index: Int32) -> Errand { actions.errands[Int(index)] }

    /// All are carried out.
    mutating func clear() { actions.removeAll() }

    // MARK: Settling

    /// The connection may be idle once no action is left.
    mutating func settleLater(_ id: ConnectionID) { settling.append(id) }

    var hasSettling: Bool { !settling.isEmpty }

    /// The connections that may be idle now.
    var mayBeIdle: [ConnectionID] { settling }

    /// All of them have been examined.
    mutating func settled() {
        settling.removeAll(keepingCapacity: settling.count <= 4096)
    }
}
