package import Channels
package import Liveness
package import Text

// How values of the lower modules are handed over to another process.

extension RawRepresentable where RawValue == String {
    fileprivate func packRaw(into pack: inout Packer) { pack.add(rawValue) }

    fileprivate init(rawFrom pack: inout Unpacker) throws(UnpackError) {
        let text = try String(from: &pack)
        guard let value = Self(rawValue: text) else { throw UnpackError("'\(text)' is unknown") }
        self = value
    }
}

extension ChannelName: Packable {
    package func pack(into pack: inout Packer) { pack.add(text) }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        let text: String = try pack.value()
        // No request may name it, but operators may read it.
        if text == ChannelName.status.text {
            self = .status
            return
        }
        do throws(ChannelNameError) {
            try self.init(text)
        } catch {
            throw UnpackError("a channel's name is invalid: \(error)")
        }
    }
}

extension Offset: Packable {
    package func pack(into pack: inout Packer) { pack.add(value) }
    package init(from pack: inout Unpacker) throws(UnpackError) { self.init(try pack.value()) }
}

extension Cursor: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(epoch.name)
        pack.add(offset)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        guard let epoch = Epoch(try String(from: &pack)) else {
            throw UnpackError("an epoch's name is invalid")
        }
        self.init(epoch: epoch, offset: try pack.value())
    }
}

extension GapReason: Packable {
    package func pack(into pack: inout Packer) { packRaw(into: &pack) }
    package init(from pack: inout Unpacker) throws(UnpackError) { try self.init(rawFrom: &pack) }
}

extension HistoryStart: Packable {
    package func pack(into pack: inout Packer) {
        switch self {
        case .after(let offset):
            pack.add(byte: 0)
            pack.add(offset)
        case .first: pack.add(byte: 1)
        case .last(let count):
            pack.add(byte: 2)
            pack.add(count)
        case .age(let milliseconds):
            pack.add(byte: 3)
            pack.add(milliseconds)
        case .newest: pack.add(byte: 4)
        }
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        switch try pack.byte() {
        case 0: self = .after(try pack.value())
        case 1: self = .first
        case 2: self = .last(try pack.value())
        case 3: self = .age(milliseconds: try pack.value())
        case 4: self = .newest
        case let code: throw UnpackError("the start \(code) is unknown")
        }
    }
}

extension ToldMarks: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(number: UInt64(through.count))
        for (channel, offset) in through.sorted(by: { $0.key.text < $1.key.text }) {
            pack.add(channel)
            pack.add(offset)
        }
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        var through: [ChannelName: Offset] = [:]
        for _ in 0..<(try pack.count()) {
            let channel: ChannelName = try pack.value()
            // Not an Optional, as the subscript would have it: its form is another one.
            let offset: Offset = try pack.value()
            through[channel] = offset
        }
        self.init(through: through)
    }
}

// MARK: Liveness

extension Member: Packable {
    package func pack(into pack: inout Packer) { pack.add(topic) }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        guard let member = Member(topic: try pack.value()) else {
            throw UnpackError("a member's name is invalid")
        }
        self = member
    }
}

extension Right: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(key)
        pack.add(endsAt)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self.init(key: try pack.value(), endsAt: try pack.value())
    }
}

extension FrontEnd: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(software)
        pack.add(isForwarded)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self.init(software: try pack.value(), isForwarded: try pack.value())
    }
}

extension Evidence: Packable {
    package func pack(into pack: inout Packer) {
        for number in [shown, revealed, overtaken, seconds] { pack.add(number) }
        pack.add(number: expected.bitPattern)
        pack.add(lastShownAt)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self.init()
        shown = try pack.value()
        revealed = try pack.value()
        overtaken = try pack.value()
        seconds = try pack.value()
        let number = Double(bitPattern: try pack.number())
        expected = number.isFinite && number >= 0 ? number : 0
        lastShownAt = try pack.value()
        guard shown >= 0, revealed >= 0, overtaken >= 0, seconds >= 0,
            max(shown, revealed, overtaken, seconds) < 1 << 40
        else { throw UnpackError("a count is invalid") }
    }
}

extension ProbePolicy.Wish: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(probe)
        pack.add(headers)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self.init(probe: try pack.value(), headers: try pack.value())
    }
}

extension ProbePolicy.Learned: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(frontEnd)
        pack.add(evidence)
        pack.add(streams)
        pack.add(wish)
        pack.add(holds)
        pack.add(outlived)
        pack.add(isProvedSilent)
        pack.add(isProvedOpen)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self.init(
            frontEnd: try pack.value(),
            evidence: try pack.value(),
            streams: try pack.value(),
            wish: try pack.value(),
            holds: try pack.value(),
            outlived: try pack.value(),
            isProvedSilent: try pack.value(),
            isProvedOpen: try pack.value()
        )
    }
}

extension Presence.Grace: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(channel)
        pack.add(member)
        pack.add(subscriber)
        pack.add(until)
        pack.add(cameAt)
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self.init(
            channel: try pack.value(),
            member: try pack.value(),
            subscriber: try pack.value(),
            until: try pack.value(),
            cameAt: try pack.value()
        )
    }
}
