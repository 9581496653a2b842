package import Channels
package import Endpoint
internal import FastCGI
internal import Liveness
package import Text

/// The state of a core apart from its connections, for one that takes over.
package struct HandedCommon: Packable {
    /// All held requests have got everything up to here.
    package let position: Cursor
    let lastTimestamp: Int64
    let frontEnds: [ProbePolicy.Learned]
    let graces: [Presence.Grace]

    init(
        position: Cursor,
        lastTimestamp: Int64,
        frontEnds: [ProbePolicy.Learned],
        graces: [Presence.Grace]
    ) {
        self.position = position
        self.lastTimestamp = lastTimestamp
        self.frontEnds = frontEnds
        self.graces = graces
    }

    package func pack(into pack: inout Packer) {
        pack.add(position)
        pack.add(lastTimestamp)
        pack.add(frontEnds)
        pack.add(graces)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        position = try pack.value()
        lastTimestamp = try pack.value()
        frontEnds = try pack.value()
        graces = try pack.value()
    }
}

/// A connection with all that is under way on it: the interests of its held requests, and the positions of its streams.
package struct HandedConnection {
    struct Hold {
        let id: RequestID
        let keepConnection: Bool
        let kind: HeldTable.Kind
        /// Places and ranks are those of the process that hands over.
        let frontEnd: ProbePolicy.Place
        let rank: UInt32
        let interest: Interest
        /// Those of its channels that were open to everyone.
        let openChannels: [ChannelName]
        /// Nil for a client of the bus socket.
        let origin: RequestOrigin?
        let deadline: Int64?
        let probe: Int64?
        /// If its beginning was traced.
        let name: RequestName?
    }

    struct Peer {
        let identity: LocalPeer
        let input: BusReader.Handed
        let isEnding: Bool
        let hasUnparsed: Bool
        let hasEnded: Bool
        let isSubscribed: Bool
        let isGreeting: Bool
        /// What the shell knows of a command that is not complete.
        let unfinished: (bytes: Int, line: Int)?
    }

    let closesWhenIdle: Bool
    let mayMultiplex: Bool
    let peerEnded: Bool
    let requests: UInt32
    let peer: Peer?
    /// Oldest first.
    let holds: [Hold]
    let replays: [Replay.Handed]

    /// Of the bus socket.
    package var isBusSocket: Bool { peer != nil }
}

// MARK: The form

extension HeldTable.Kind: Packable {
    func pack(into pack: inout Packer) { pack.add(byte: rawValue) }

    init(from pack: inout Unpacker) throws(UnpackError) {
        let code = try pack.byte()
        guard let kind = Self(rawValue: code) else {
            throw UnpackError("the kind \(code) of a held request is unknown")
        }
        self = kind
    }
}

extension RequestID: Packable {
    package func pack(into pack: inout Packer) { pack.add(UInt32(value)) }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        let number: UInt32 = try pack.value()
        guard let value = UInt16(exactly: number), let id = RequestID(value) else {
            throw UnpackError("\(number) is no request's id")
        }
        self = id
    }
}

extension RequestName: Packable {
    package func pack(into pack: inout Packer) { pack.add(bytes: utf8) }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        let bytes = try pack.content()
        guard let name = unsafe bytes.withUnsafeBytes({ unsafe RequestName($0) }) else {
            throw UnpackError("a request's name is invalid")
        }
        self = name
    }
}

extension RequestOrigin: Packable {
    /// Without its front end, which is identified by its place.
    package func pack(into pack: inout Packer) {
        pack.add(subscriber)
        pack.add(address)
        pack.add(member)
        pack.add(right)
        pack.add(arrivedAt)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self.init()
        subscriber = try pack.value()
        address = try pack.value()
        member = try pack.value()
        right = try pack.value()
        arrivedAt = try pack.value()
    }
}

extension Interest: Packable {
    func pack(into pack: inout Packer) {
        switch self {
        case .answer(let subscription):
            pack.add(byte: 0)
            pack.add(subscription)
        case .stream(let stream):
            pack.add(byte: 1)
            pack.add(stream)
        }
    }

    init(from pack: inout Unpacker) throws(UnpackError) {
        switch try pack.byte() {
        case 0: self = .answer(try pack.value())
        case 1: self = .stream(try pack.value())
        case let code: throw UnpackError("the interest \(code) is unknown")
        }
    }
}

extension BusReader.Handed: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(line)
        pack.add(bytes: bytes)
        pack.add(isSkippingLine)
        pack.add(skipped != nil)
        guard let skipped else { return }
        pack.add(skipped.line)
        pack.add(bytes: skipped.text)
        pack.add(skipped.left)
        pack.add(skipped.isTooLarge)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self.init()
        line = try pack.value()
        bytes = try pack.content()
        isSkippingLine = try pack.value()
        guard try pack.value(Bool.self) else { return }
        let body = BusReader.SkippedBody(
            line: try pack.value(),
            text: try pack.content(),
            left: try pack.value(),
            isTooLarge: try pack.value()
        )
        guard body.left >= 0 else { throw UnpackError("a body's length is invalid") }
        skipped = body
    }
}

extension HandedConnection.Peer: Packable {
    func pack(into pack: inout Packer) {
        pack.add(identity)
        pack.add(input)
        for flag in [isEnding, hasUnparsed, hasEnded, isSubscribed, isGreeting] { pack.add(flag) }
        pack.add(unfinished?.bytes)
        pack.add(unfinished?.line)
    }

    init(from pack: inout Unpacker) throws(UnpackError) {
        identity = try pack.value()
        input = try pack.value()
        isEnding = try pack.value()
        hasUnparsed = try pack.value()
        hasEnded = try pack.value()
        isSubscribed = try pack.value()
        isGreeting = try pack.value()
        let (bytes, line): (Int?, Int?) = (try pack.value(), try pack.value())
        unfinished = bytes.flatMap { bytes in line.map { (bytes, $0) } }
    }
}

/// The interests of the held requests of some connections, each once.
struct HandedInterests {
    private(set) var all: [Interest] = []
    private var places: [Interest: Int] = [:]

    init() {}

    mutating func place(of interest: Interest) -> Int {
        if let known = places[interest] { return known }
        places[interest] = all.count
        all.append(interest)
        return all.count - 1
    }
}

extension HandedConnection {
    func pack(into pack: inout Packer, _ interests: inout HandedInterests) {
        for flag in [closesWhenIdle, mayMultiplex, peerEnded] { pack.add(flag) }
        pack.add(requests)
        pack.add(peer)
        pack.add(number: UInt64(holds.count))
        for hold in holds {
            pack.add(hold.id)
            pack.add(hold.keepConnection)
            pack.add(hold.kind)
            pack.add(byte: hold.frontEnd)
            pack.add(hold.rank)
            pack.add(interests.place(of: hold.interest))
            pack.add(hold.origin)
            pack.add(hold.deadline)
            pack.add(hold.probe)
            pack.add(hold.name)
        }
        pack.add(replays)
    }

    init(
        from pack: inout Unpacker,
        _ interests: [(interest: Interest, openChannels: [ChannelName])]
    ) throws(UnpackError) {
        closesWhenIdle = try pack.value()
        mayMultiplex = try pack.value()
        peerEnded = try pack.value()
        requests = try pack.value()
        peer = try pack.value()
        var holds: [Hold] = []
        for _ in 0..<(try pack.count()) {
            let id: RequestID = try pack.value()
            let keepConnection: Bool = try pack.value()
            let kind: HeldTable.Kind = try pack.value()
            let frontEnd = try pack.byte()
            let rank: UInt32 = try pack.value()
            let place: Int = try pack.value()
            guard interests.indices.contains(place) else {
                throw UnpackError("a held request waits for something unknown")
            }
            let isStream = if case .stream = interests[place].interest { true } else { false }
            let hold = Hold(
                id: id,
                keepConnection: keepConnection,
                kind: kind,
                frontEnd: frontEnd,
                rank: rank,
                interest: interests[place].interest,
                openChannels: interests[place].openChannels,
                origin: try pack.value(),
                deadline: try pack.value(),
                probe: try pack.value(),
                name: try pack.value()
            )
            guard isStream == kind.isStream, (kind == .lines) == (hold.origin == nil) else {
                throw UnpackError("a held request contradicts itself")
            }
            holds.append(hold)
        }
        self.holds = holds
        replays = try pack.value()
    }
}

extension Core {
    /// Reads connections as `handOver` writes them.
    package static func connections(
        from pack: inout Unpacker
    ) throws(UnpackError) -> [HandedConnection] {
        var interests: [(interest: Interest, openChannels: [ChannelName])] = []
        for _ in 0..<(try pack.count()) {
            interests.append((try pack.value(), try pack.value()))
        }
        let bytes = try pack.content()
        var inner = Unpacker(bytes)
        var connections: [HandedConnection] = []
        while !inner.isAtEnd { connections.append(try HandedConnection(from: &inner, interests)) }
        return connections
    }
}
