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
        seeSiblings()
    }

    private func heardFrom(_ name: String) {
        siblings?.heard(from: name)
        seeSiblings()
        askedSiblings.remove(name)
        if silentSiblings.remove(name) != nil {
            logger.notice("process \(Siblings.processNumber(of: name)) of this bus answers again")
        }
    }

    func readSiblings() {
        for _ in 0..<64 {
            guard let received = siblings?.next() else { return }
            guard case .message(let message, let sender) = received else {
                passOver(received)
                continue
            }
            heardFrom(sender)
            switch message {
            case .question(let number):
                let figures = figures
                let own = snapshot(figures).encoded(Self.fingerprint(of: figures))
                siblings?.answer(SiblingMessage.snapshot(number, own).bytes, to: sender)
            case .whoWaits(let number, let from, let through):
                let counts = waiting(from: from, through: through)
                siblings?.answer(SiblingMessage.waiting(number, counts).bytes, to: sender)
            case .snapshot(let ticket, let bytes):
                answered(ticket, sender) { survey in
                    let figures = figures
                    let fingerprint = Self.fingerprint(of: figures)
                    // One of another release counts other things, and is missing.
                    Snapshot(bytes, fingerprint: fingerprint, count: figures.count)
                        .map { survey.snapshots.append($0) }
                }
            case .waiting(let ticket, let counts):
                answered(ticket, sender) { survey in
                    for (name, count) in counts {
                        survey.waiting[name, default: 0].add(count)
                    }
                }
            case .words(let words):
                for word in words {
                    switch word.kind {
                    case .cameAgain: supersede(word.subscriber, before: word.time)
                    case .left: leave(word.subscriber, at: word.time)
                    }
                }
            case .here(let members): heardOfMembers(members)
            }
        }
    }

    /// Whoever may write to the directory can send what he likes: it is counted, and told once a minute.
    private func passOver(_ received: Siblings.Received) {
        metrics.passedOver += 1
        var why = "it is none of this release's"
        if case .foreign(let user) = received {
            why = "it is of user \(user), and neither of root nor of holdfast's own user"
        }
        complain(.passedOver, "a message to this process from another one is passed over: \(why)")
    }

    /// Who waits here for channels of a listing, as far as a datagram takes them.
    private func waiting(from: String, through: String) -> [(ChannelName, Int)] {
        var (counts, bytes): ([(ChannelName, Int)], Int) = ([], 0)
        for (name, count) in audience.holders
        where name.text >= from && name.text <= through {
            bytes += name.text.utf8.count + 22
            if bytes > Siblings.datagramBytes - 64 { break }
            counts.append((name, count))
        }
        return counts
    }
}
