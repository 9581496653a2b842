internal import Channels
internal import Endpoint
internal import FastCGI
internal import Liveness
internal import Text

/// How a stream that reads the log is handed over to another process: it continues there at its position.
extension Replay {
    struct Handed {
        struct Web {
            let id: RequestID
            let keepConnection: Bool
            let ordinal: UInt32
            let origin: RequestOrigin
            /// That of the process that hands over.
            let frontEnd: ProbePolicy.Place
            let endsAt: Int64
            /// If its beginning was traced.
            let name: RequestName?
        }

        let number: UInt64
        /// Nil for a client of the bus socket.
        let web: Web?
        let stream: StreamSubscription
        /// Those of its channels that were open to everyone.
        let openChannels: [ChannelName]
        let head: [UInt8]
        let position: Position
        let isGreeted: Bool
        let owedGap: GapReason?
        let beforeGap: Cursor?
        let told: ToldMarks
    }

    func handed(_ openChannels: [ChannelName], _ name: RequestName?) -> Handed {
        var web: Handed.Web?
        if case .web(let requester, let ours) = target {
            web = Handed.Web(
                id: requester.address.id,
                keepConnection: requester.address.keepConnection,
                ordinal: requester.ordinal,
                origin: ours.origin,
                frontEnd: ours.frontEnd,
                endsAt: ours.endsAt,
                name: name
            )
        }
        return Handed(
            number: number,
            web: web,
            stream: stream,
            openChannels: openChannels,
            head: head,
            position: position,
            isGreeted: isGreeted,
            owedGap: owedGap,
            beforeGap: beforeGap,
            told: told
        )
    }

    /// - Parameter places: those of the front ends here, by their places in the other process.
    convenience init(
        _ handed: Handed,
        on connection: ConnectionID,
        places: [ProbePolicy.Place]
    ) {
        var target = Target.lines(connection)
        if let web = handed.web {
            let address = RequestAddress(
                connection: connection,
                id: web.id,
                keepConnection: web.keepConnection
            )
            let place = Int(web.frontEnd)
            target = .web(
                Requester(address: address, ordinal: web.ordinal),
                Web(
                    origin: web.origin,
                    frontEnd: places.indices.contains(place) ? places[place] : 0,
                    endsAt: web.endsAt
                )
            )
        }
        self.init(handed.stream, at: handed.position, target, head: handed.head)
        resume(
            isGreeted: handed.isGreeted,
            owedGap: handed.owedGap,
            beforeGap: handed.beforeGap,
            told: handed.told
        )
    }
}

extension Replay.Position: Packable {
    func pack(into pack: inout Packer) {
        switch self {
        case .start(let start):
            pack.add(byte: 0)
            pack.add(start)
        case .cursor(let cursor):
            pack.add(byte: 1)
            pack.add(cursor)
        }
    }

    init(from pack: inout Unpacker) throws(UnpackError) {
        switch try pack.byte() {
        case 0: self = .start(try pack.value())
        case 1: self = .cursor(try pack.value())
        case let code: throw UnpackError("the position \(code) of a stream is unknown")
        }
    }
}

extension Replay.Handed.Web: Packable {
    func pack(into pack: inout Packer) {
        pack.add(id)
        pack.add(keepConnection)
        pack.add(ordinal)
        pack.add(origin)
        pack.add(byte: frontEnd)
        pack.add(endsAt)
        pack.add(name)
    }

    init(from pack: inout Unpacker) throws(UnpackError) {
        id = try pack.value()
        keepConnection = try pack.value()
        ordinal = try pack.value()
        origin = try pack.value()
        frontEnd = try pack.byte()
        endsAt = try pack.value()
        name = try pack.value()
    }
}

extension Replay.Handed: Packable {
    func pack(into pack: inout Packer) {
        pack.add(number)
        pack.add(web)
        pack.add(stream)
        pack.add(openChannels)
        pack.add(bytes: head)
        pack.add(position)
        pack.add(isGreeted)
        pack.add(owedGap)
        pack.add(beforeGap)
        pack.add(told)
    }

    init(from pack: inout Unpacker) throws(UnpackError) {
        number = try pack.value()
        web = try pack.value()
        stream = try pack.value()
        openChannels = try pack.value()
        head = try pack.content()
        position = try pack.value()
        isGreeted = try pack.value()
        owedGap = try pack.value()
        beforeGap = try pack.value()
        told = try pack.value()
        guard stream.form.isFramed == (web != nil) else {
            throw UnpackError("a stream contradicts itself")
        }
    }
}
