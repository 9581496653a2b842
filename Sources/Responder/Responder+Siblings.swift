internal import Channels
internal import Configuration
internal import Logging
internal import Reactor

/// What the processes of a bus say to each other.
extension Responder {
    /// How often each looks whether the others answer.
    private static let siblingLookMilliseconds: Int64 = 10_000

    /// The bus directory is there, perhaps in the place of an old one.
    func renewSiblings() {
        if let siblings { epoll.remove(siblings.descriptor) }
        siblings = nil
        (askedSiblings, silentSiblings) = ([], [])
        do {
            let made = try Siblings(settings.bus)
            try epoll.add(made.descriptor, [.read])
            siblings = made
            siblingLookAt = now
        } catch {
            logger.warning("the other processes of the bus are not seen: \(error)")
        }
    }

    /// Tells the operator of processes that are there and do not answer: nobody can take over what they serve.
    func lookAtSiblings() {
        siblingLookAt = now + Self.siblingLookMilliseconds
        for name in askedSiblings where silentSiblings.insert(name).inserted {
            let sentence =
                "process \(Siblings.processNumber(of: name)) of this bus does not answer: is it stopped, or stuck? What "
                + "it serves nobody else can take over before it ends"
            logger.warning("\(sentence)")
        }
        askedSiblings = siblings?.tell(SiblingMessage.question(0).bytes) ?? []
        silentSiblings.formIntersection(askedSiblings)
    }

    private func heardFrom(_ name: String) {
        siblings?.heard(from: name)
        askedSiblings.remove(name)
        if silentSiblings.remove(name) != nil {
            logger.notice("process \(Siblings.processNumber(of: name)) of this bus answers again")
        }
    }

    func readSiblings() {
        for _ in 0..<64 {
            guard let (bytes, sender) = siblings?.next() else { return }
            heardFrom(sender)
            switch SiblingMessage(bytes) {
            case .question(let number):
                let figures = figures
                let own = snapshot(figures).encoded(Self.fingerprint(of: figures))
                siblings?.answer(SiblingMessage.snapshot(number, own).bytes, to: sender)
            case .whoWaits(let number, let from, let through):
                let lines = waitingLines(from: from, through: through)
                siblings?.answer(SiblingMessage.waiting(number, lines).bytes, to: sender)
            case .snapshot(let ticket, let bytes):
                answered(ticket) { survey in
                    let figures = figures
                    let fingerprint = Self.fingerprint(of: figures)
                    // One of another release counts other things, and is missing.
                    Snapshot(bytes, fingerprint: fingerprint, count: figures.count)
                        .map { survey.snapshots.append($0) }
                }
            case .waiting(let ticket, let bytes):
                answered(ticket) { survey in
                    for line in bytes.split(separator: UInt8(ascii: "\n")) {
                        let words = String(decoding: line, as: UTF8.self).split(separator: " ")
                        guard words.count == 2, let count = Int(words[0]),
                            let name = try? ChannelName(words[1])
                        else { continue }
                        survey.waiting[name, default: 0] += count
                    }
                }
            case .words(let bytes):
                for word in SubscriberWord.all(in: bytes) {
                    switch word.kind {
                    case .cameAgain: supersede(word.subscriber, before: word.time)
                    case .left: leave(word.subscriber, at: word.time)
                    }
                }
            case .here(let lines): heardOfMembers(lines)
            case nil: break
            }
        }
    }

    /// Who waits here for channels of a listing, as far as a datagram takes them.
    private func waitingLines(from: String, through: String) -> [UInt8] {
        var lines: [UInt8] = []
        for (name, count) in audience.holders
        where name.text >= from && name.text <= through {
            let line = Array("\(count) \(name)\n".utf8)
            if lines.count + line.count > Siblings.datagramBytes - 64 { break }
            lines += line
        }
        return lines
    }
}
