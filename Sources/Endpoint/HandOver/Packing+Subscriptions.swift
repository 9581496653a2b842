internal import Channels
internal import Configuration
package import Text

// How what a held request waits for is handed over to another process: everything that determines the bytes of its answer.

extension OriginDecision: Packable {
    package func pack(into pack: inout Packer) {
        switch self {
        case .silent: pack.add(byte: 0)
        case .anyone: pack.add(byte: 1)
        case .listed(let origin):
            pack.add(byte: 2)
            pack.add(origin)
        }
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        switch try pack.byte() {
        case 0: self = .silent
        case 1: self = .anyone
        case 2:
            let origin: String = try pack.value()
            // It goes into a header field.
            guard origin.utf8.allSatisfy(\.isVisibleASCII) else {
                throw UnpackError("an origin is invalid")
            }
            self = .listed(origin)
        case let code: throw UnpackError("the origin \(code) is unknown")
        }
    }
}

extension Shape: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(origin)
        pack.add(headOnly)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self.init(origin: try pack.value(), headOnly: try pack.value())
    }
}

extension Subscription.CursorCookie: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(name)
        pack.add(bytes: path)
        pack.add(secure)
        pack.add(isFirst)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self.init(
            name: try pack.value(),
            path: try pack.content(),
            secure: try pack.value(),
            isFirst: try pack.value()
        )
    }
}

extension Subscription: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(channels)
        pack.add(form == .bare)
        pack.add(messageLimit)
        pack.add(onGap == .fail)
        pack.add(onTimeout.rawValue)
        pack.add(shape)
        pack.add(link != nil)
        if let link { pack.add(bytes: link) }
        pack.add(preferredWaitSeconds)
        pack.add(cookie)
        pack.add(startsEarly)
        pack.add(owedGap)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        let channels: [ChannelName] = try pack.value()
        let isBare: Bool = try pack.value()
        let messageLimit: Int = try pack.value()
        let fails: Bool = try pack.value()
        let word: String = try pack.value()
        guard !channels.isEmpty, messageLimit > 0,
            let onTimeout = FixedEndpoint.OnTimeout(rawValue: word)
        else { throw UnpackError("a subscription is invalid") }
        let shape: Shape = try pack.value()
        let link = try pack.value(Bool.self) ? pack.content() : nil
        self.init(
            channels: channels,
            form: isBare ? .bare : .json,
            messageLimit: messageLimit,
            onGap: fails ? .fail : .report,
            onTimeout: onTimeout,
            shape: shape,
            link: link,
            preferredWaitSeconds: try pack.value(),
            cookie: try pack.value(),
            startsEarly: try pack.value(),
            owedGap: try pack.value()
        )
    }
}

extension StreamSubscription: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(channels)
        switch form {
        case .lines: pack.add(byte: 0)
        case .ndjson: pack.add(byte: 1)
        case .events(let bare): pack.add(byte: bare ? 3 : 2)
        }
        pack.add(lineLimit)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        let channels: [ChannelName] = try pack.value()
        guard !channels.isEmpty else { throw UnpackError("a stream has no channel") }
        let form: Form =
            switch try pack.byte() {
            case 0: .lines
            case 1: .ndjson
            case 2: .events(bare: false)
            case 3: .events(bare: true)
            case let code: throw UnpackError("the form \(code) of a stream is unknown")
            }
        self.init(channels: channels, form: form, lineLimit: try pack.value())
    }
}

extension PollStart: Packable {
    package func pack(into pack: inout Packer) {
        switch self {
        case .cursor(let cursor):
            pack.add(byte: 0)
            pack.add(cursor)
        case .history(let start):
            pack.add(byte: 1)
            pack.add(start)
        case .now: pack.add(byte: 2)
        }
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        switch try pack.byte() {
        case 0: self = .cursor(try pack.value())
        case 1: self = .history(try pack.value())
        case 2: self = .now
        case let code: throw UnpackError("the start \(code) is unknown")
        }
    }
}

extension LocalPeer: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(user)
        pack.add(groups)
        pack.add(isOwner)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self.init(
            user: try pack.value(),
            groups: try pack.value(),
            isOwner: try pack.value()
        )
    }
}
