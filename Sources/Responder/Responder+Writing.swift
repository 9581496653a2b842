internal import CLinux
internal import Configuration
internal import FastCGI
internal import Logging
internal import Reactor

/// Writing, what peers do not take, and giving memory back.
extension Responder {
    /// Sends records to a peer; what it does not take now is kept, within the bound.
    ///
    /// - Parameter isRest: of an answer that has been taken, or its last word; goes wherever that did.
    /// - Returns: false if the connection had to be given up.
    @discardableResult
    func send(_ descriptor: Int32, _ bytes: [UInt8], isRest: Bool = false) -> Bool {
        guard connections[Int(descriptor)].isOpen else { return false }
        if let extra = connections[Int(descriptor)].extra, !extra.unsent.isEmpty {
            return keep(descriptor, bytes, sent: 0, isRest)
        }
        switch unsafe bytes.withUnsafeBytes({ unsafe SystemCalls.send(descriptor, $0) }) {
        case .bytes(bytes.count): return true
        case .bytes(let count): return keep(descriptor, bytes, sent: count, isRest)
        case .wouldBlock: return keep(descriptor, bytes, sent: 0, isRest)
        case .ended:
            drop(descriptor, .closed)
            return false
        }
    }

    private func keep(_ descriptor: Int32, _ bytes: [UInt8], sent: Int, _ isRest: Bool) -> Bool {
        let extra = makeExtra(descriptor)
        let isFirst = extra.unsent.isEmpty
        // One answer is always taken: its size is bounded elsewhere, and it could never be delivered otherwise.
        if !isFirst, !isRest, extra.unsent.bytes + bytes.count > settings.limits.unsentBytes {
            metrics[.unsentBytes] += 1
            drop(descriptor, .slow)
            return false
        }
        unsent.append(bytes, sent: sent, to: &extra.unsent)
        if isFirst {
            // Not since the turn began: making a large answer may have taken long.
            extra.progressedAt = MonotonicClock.milliseconds()
            changeInterest(descriptor)
        }
        return connections[Int(descriptor)].isOpen
    }

    func flush(_ descriptor: Int32) {
        guard let extra = connections[Int(descriptor)].extra, !extra.unsent.isEmpty else { return }
        while !extra.unsent.isEmpty {
            let (outcome, offered) = unsafe extra.unsent.withNext(gatheredIn: input) { bytes in
                unsafe (SystemCalls.send(descriptor, bytes), bytes.count)
            }
            switch outcome {
            case .bytes(let count):
                unsent.remove(count, from: &extra.unsent)
                extra.progressedAt = MonotonicClock.milliseconds()
                // The next edge tells when there is room again.
                if count < offered { return }
            case .wouldBlock: return
            case .ended: return drop(descriptor, .closed)
            }
        }
        changeInterest(descriptor)
        resumeReplays(of: descriptor)
        if connections[Int(descriptor)].flags.contains(.busSocket) { readLater(descriptor) }
        dropIfDone(descriptor)
    }

    /// What the peer has not taken yet.
    func unsentBytes(_ descriptor: Int32) -> Int {
        connections[Int(descriptor)].extra?.unsent.bytes ?? 0
    }

    private func changeInterest(_ descriptor: Int32) {
        let connection = connections[Int(descriptor)]
        guard connection.flags.contains(.watched) else {
            return watch(descriptor)
        }
        do {
            try epoll.change(
                descriptor,
                generation: connection.generation,
                interest(of: connection)
            )
        } catch {
            complain(.notWatched, "connection closed: \(error)")
            drop(descriptor, .closed)
        }
    }

    // MARK: The bound for all

    /// Closes the connections of those who keep most unsent where all together keep too much: more than one at a time, so
    /// that they need not be looked at for each answer. Never the last one: what one alone is sent is bounded elsewhere.
    ///
    /// Called between pieces of work, since it may end anybody's requests.
    func relieveMemory() {
        let limit = settings.limits.unsentTotalBytes
        guard unsent.bytes > limit else { return }
        var holders: [(share: Int, progressedAt: Int64, descriptor: Int32)] = []
        for descriptor in unfinished where connections[Int(descriptor)].isOpen {
            guard let extra = connections[Int(descriptor)].extra, !extra.unsent.isEmpty else {
                continue
            }
            holders.append((unsent.share(of: extra.unsent), extra.progressedAt, descriptor))
        }
        // Of equals, who has not read for the longest time.
        holders.sort {
            $0.share != $1.share ? $0.share > $1.share : $0.progressedAt < $1.progressedAt
        }
        var closed = 0
        for holder in holders.dropLast() where unsent.bytes > limit - limit / 8 {
            drop(holder.descriptor, .slow)
            closed += 1
        }
        metrics.count(.unsentTotal, closed)
        closedForMemory += closed
        noteClosedForMemory()
    }

    /// Says it once in a while.
    func noteClosedForMemory() {
        guard closedForMemory > 0, now >= memoryNoteAt else { return }
        memoryNoteAt = now + 10_000
        logger.warning(
            "closed connections whose peers do not read: all unsent bytes together came to unsent_bytes_total of [limits]",
            metadata: [
                "closed": "\(closedForMemory)",
                "unsent_bytes_total": "\(settings.limits.unsentTotalBytes)",
            ]
        )
        closedForMemory = 0
    }

    /// Gives the system back what has become free. The allocator keeps it, as if the crowd that has gone would come again
    /// at once.
    func giveBackMemory() {
        memoryLookAt = .max
        let free = clinux_free_bytes()
        // What is used again has been wanted; what was free when it was given back is not counted again.
        freeAtLastLook = min(freeAtLastLook, free)
        guard free - freeAtLastLook >= Self.worthGivingBack else { return }
        clinux_give_back()
        freeAtLastLook = free
    }

    private static let worthGivingBack = 16 * 1024 * 1024
}
