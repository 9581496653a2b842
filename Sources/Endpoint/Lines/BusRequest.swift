package import Channels
internal import Text

/// What a command of a bus client asks for, after everything for which it can be refused.
package enum BusRequest: Sendable {
    case publish(BusPublish)
    case subscribe(StreamSubscription, PollStart, BusCommand)
    case channels(BusListing)
    case message(BusMessage)
    case status(BusCommand)
    /// Already decided: the whole answer.
    case answer([UInt8])
    /// Already decided, and counted.
    case refused([UInt8])
    /// The last answer, after which the connection is closed.
    case ended([UInt8])
}

/// A command, which makes the answers to it. All answers are lines with their end.
package struct BusCommand: Sendable {
    /// The number of its line, from 1; 0 for what concerns the connection.
    let line: Int

    static let names = [
        "publish", "json", "put", "delete", "subscribe", "message", "channels", "status", "ping",
        "help",
    ]

    package func error(_ problem: Problem) -> [UInt8] {
        jsonLine("error") { bytes in
            if line > 0 {
                bytes.append(member: "line", line)
            }
            bytes.append(member: "code", word: problem.code)
            bytes.append(member: "detail", text: problem.detail)
            if let seconds = problem.retryAfterSeconds {
                bytes.append(member: "retry_after", seconds)
            }
        }
    }

    package func unavailable() -> [UInt8] { error(.unavailable) }

    package func alreadySubscribed() -> [UInt8] {
        error(
            .badRequest(
                "already_subscribed",
                "This connection has a subscription; name all channels in one command, or open another connection."
            )
        )
    }

    /// - Parameter members: those of a JSON object, without its braces.
    package func status(_ members: [UInt8]) -> [UInt8] {
        jsonLine("status") { bytes in
            bytes.beginElement()
            bytes += members
        }
    }

    var help: [UInt8] {
        jsonLine("help") { bytes in
            bytes.append(member: "commands")
            bytes.openArray()
            let forms = [
                "publish CHANNEL TEXT", "json CHANNEL VALUE",
                "put CHANNEL LENGTH [content-type=TYPE] [type=EVENT] [ttl=SECONDS] [topic=TOPIC] [key=KEY] "
                    + "[split=lines], then LENGTH bytes",
                "delete CHANNEL …",
                "subscribe CHANNEL … [since CURSOR|now|first|last:N|age:10m] [line_limit=BYTES]",
                "message ID", "channels [AFTER]", "status", "ping", "help",
            ]
            for form in forms {
                bytes.beginElement()
                bytes.append(jsonString: form)
            }
            bytes.closeArray()
        }
    }
}

/// A command that changes channels.
package struct BusPublish: Sendable {
    package let publication: Publication
    let command: BusCommand

    package func reply(_ outcome: AppendOutcome) -> [UInt8] {
        switch outcome {
        case .committed(let ids), .repeated(let ids): ok(ids)
        case .conflict: command.error(.idempotencyConflict)
        case .overQuota(let seconds): command.error(.overQuota(retrySeconds: seconds))
        case .noMoreChannels: command.error(.noMoreChannels)
        case .full: command.error(.logFull)
        case .logBusy: command.error(.logBusy)
        case .unavailable: command.error(.unavailable)
        }
    }

    /// The log did not answer in time.
    package func outcomeUnknown() -> [UInt8] { command.error(.outcomeUnknown) }

    /// Too many publishers are waiting already.
    package func busy() -> [UInt8] { command.error(.busy) }

    private func ok(_ ids: [Cursor]) -> [UInt8] {
        jsonLine("ok") { bytes in
            guard let first = ids.first, let last = ids.last else { return }
            bytes.append(member: "id", first)
            bytes.append(member: "cursor", last)
            if ids.count > 1 { bytes.append(member: "count", ids.count) }
        }
    }
}

/// `message ID`: one message, whole.
package struct BusMessage: Sendable {
    package let id: Cursor
    package let command: BusCommand
    private let rights: LocalRights
    private let peer: LocalPeer

    init(_ id: Cursor, _ command: BusCommand, _ rights: LocalRights, _ peer: LocalPeer) {
        self.id = id
        self.command = command
        self.rights = rights
        self.peer = peer
    }

    /// - Parameter message: nil if there is none with this id. The answer does not reveal a message to a peer that may
    ///   not read its channel.
    package func reply(_ message: Message?) -> [UInt8] {
        guard let message, rights.may(.read, message.channel, peer) else {
            return command.error(.messageNotFound)
        }
        return jsonLine("message") { bytes in
            MessageEncoder.appendMembers(of: message, to: &bytes)
        }
    }
}

/// `channels [AFTER]`: the channels that the peer may read.
package struct BusListing: Sendable {
    package let command: BusCommand
    private let after: ChannelName?
    private let rights: LocalRights
    private let peer: LocalPeer
    /// The number of channels that the log is asked for at a time.
    private let limit = 1000

    init(_ after: ChannelName?, _ command: BusCommand, _ rights: LocalRights, _ peer: LocalPeer) {
        self.after = after
        self.command = command
        self.rights = rights
        self.peer = peer
    }

    package var selection: ChannelSelection { .after(after, limit: limit) }

    package enum Outcome: Sendable {
        case listing(ChannelListing)
        /// The peer may read none of them; the ones that follow are to be asked for.
        case goOn(BusListing)
    }

    /// The part of a listing that the peer may see. It continues after a name that the peer may see, too.
    package func readable(_ listing: ChannelListing) -> Outcome {
        let entries = listing.entries.filter { rights.may(.read, $0.name, peer) }
        guard let next = listing.next else {
            return .listing(ChannelListing(entries: entries, next: nil))
        }
        guard let last = entries.last else {
            return .goOn(BusListing(next, command, rights, peer))
        }
        return .listing(ChannelListing(entries: entries, next: last.name))
    }

    package func reply(_ listing: ChannelListing, held: (ChannelName) -> Int) -> [UInt8] {
        jsonLine("channels") { bytes in
            ChannelEncoder.appendMembers(of: listing, held: held, to: &bytes)
        }
    }
}
