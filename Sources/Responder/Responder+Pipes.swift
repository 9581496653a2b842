internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import Logging
internal import Reactor

/// Publishing what writers put into named pipes, by the process that serves the bus.
extension Responder {
    /// Opens all pipes, made if need be; every process does, so that they keep what is in them.
    static func openPipes(_ settings: Settings) throws -> [PipeReader] {
        try settings.pipes.map { try PipeReader($0, settings.limits) }
    }

    // MARK: Serving

    /// This process serves the bus now.
    func startPipes() {
        let skipped = servingLock?.note ?? ""
        for reader in pipes {
            reader.isSkipping = skipped.contains("skip \(reader.pipe.name)\n")
            if reader.isSkipping {
                logger.warning(
                    "\(reader.settings.path): the rest of a line that is too long is passed over"
                )
            }
            watch(reader)
            pump(reader)
        }
    }

    private func watch(_ reader: PipeReader) {
        do {
            // By edges: a line that has not come to its end must not keep the loop running.
            try epoll.add(reader.pipe.descriptor, [.read, .edge])
        } catch {
            logger.error("\(error)")
        }
    }

    /// Another process may read them from now on: what is on its way into the log stays in the pipe, and may come twice.
    func stopPipes() {
        pipeTickets = [:]
        for reader in pipes {
            if reader.refused.count > 0 { noteRefusals(reader) }
            epoll.remove(reader.pipe.descriptor)
            (reader.state, reader.lookAt) = (.idle, nil)
        }
    }

    /// Finds what somebody has put another pipe in the place of.
    func lookAtPipes() {
        for reader in pipes where !reader.isReplaced && !reader.pipe.isInPlace {
            reader.isReplaced = true
            if reader.pipe.left.lines > 0 {
                logger.warning(
                    "the pipe \(reader.settings.path) was replaced; the lines in it are published first"
                )
            }
            exchange(reader)
        }
    }

    /// Uses the new pipe once the old one has no lines any more, which this process publishes, or the one that serves the bus.
    private func exchange(_ reader: PipeReader) {
        guard reader.isReplaced, !reader.isAppending, reader.pipe.left.lines == 0 else { return }
        reader.isReplaced = false
        do throws(ServingProblem) {
            let anew = try PipeReader(reader.settings, settings.limits)
            logger.warning("the pipe \(reader.settings.path) was replaced; using the new one")
            if isServing {
                tellOfLoss(reader, reader.pipe.left)
                if reader.isSkipping { skip(reader, false) }
                epoll.remove(reader.pipe.descriptor)
            }
            reader.pipe.close()
            (reader.pipe, reader.interface) = (anew.pipe, anew.interface)
            (reader.isSkipping, reader.lookAt, reader.trouble) = (false, nil, "")
            if isServing {
                watch(reader)
                pump(reader)
            }
        } catch {
            // Tried again when the pipes are looked at next.
            if reader.trouble != error.description { logger.error("\(error)") }
            reader.trouble = error.description
        }
    }

    /// Whether the descriptor is a pipe's, which has something new.
    func pipeReady(_ descriptor: Int32) -> Bool {
        guard let reader = pipes.first(where: { $0.pipe.descriptor == descriptor }) else {
            return false
        }
        // Where a long line comes in small pieces, not each of them is looked at.
        if reader.incompleteBytes > 4096, let lookAt = reader.lookAt, lookAt > now {
            reader.lookAt = min(lookAt, now + 10)
        } else {
            pump(reader)
        }
        return true
    }

    /// Looks at those whose time has come.
    func lookAtDuePipes() {
        for reader in pipes {
            if let lookAt = reader.lookAt, now >= lookAt { pump(reader) }
            if reader.isReplaced { exchange(reader) }
            if reader.refused.count > 0, now >= reader.refusalNoteAt { noteRefusals(reader) }
        }
    }

    /// When a pipe is to be looked at without being told.
    var nextPipeLook: Int64? {
        guard isServing else { return nil }
        return pipes.flatMap { [$0.lookAt, $0.refused.count > 0 ? $0.refusalNoteAt : nil] }
            .compactMap(\.self).min()
    }

    // MARK: Stopping

    /// The process stops: what is in the pipes is published first.
    func pumpPipes() {
        for reader in pipes { pump(reader) }
    }

    /// Whether the pipes can be let go of, since nothing is left in them that this process could publish.
    ///
    /// It may be the last one that has them open. Several that stop together look after each other: each gives the lock back
    /// first, and only then looks whether something has come since. If so, whoever gets the lock publishes it, and who
    /// does not get it waits a little: the other one either reads it, or gives the lock back in its turn.
    func letGoOfPipes() -> Bool {
        guard let stopDeadline, !pipes.isEmpty else { return true }
        let isOver = now >= stopDeadline
        if isServing, servingLock?.isHeld == true, !isOver,
            !pipes.allSatisfy({ $0.isDry && !$0.isAppending })
        {
            return false
        }
        stopServing()
        servingLock?.release()
        servingLock = nil
        if !isOver, pipes.contains(where: { $0.pipe.left.lines > 0 }) {
            if tail != nil, let lock = ServingLock(freeIn: settings.bus) {
                // News of a lock that was waited for before is not about this one.
                servingRound += 1
                (servingLock, isServing) = (lock, true)
                startPipes()
                return false
            }
            leavePipesAt = leavePipesAt ?? now + 500
            if now < leavePipesAt ?? now { return false }
        }
        closePipes()
        return true
    }

    /// What is in a pipe lives on where another process has it open; else it is told of.
    private func closePipes() {
        for reader in pipes {
            let (left, isInPlace) = (reader.pipe.left, reader.pipe.isInPlace)
            reader.pipe.close()
            // What others read there is another pipe, if this one was replaced.
            guard !isInPlace || !NamedPipe.isRead(reader.settings.path) else { continue }
            tellOfLoss(reader, left)
        }
    }

    /// Says what is in a pipe that is let go of.
    private func tellOfLoss(_ reader: PipeReader, _ left: (bytes: Int, lines: Int)) {
        guard left.bytes > 0 else { return }
        let metadata: Logger.Metadata = [
            "pipe": "\(reader.settings.path)", "lines": "\(left.lines)",
            "bytes": "\(left.bytes)",
        ]
        if left.lines > 0 {
            logger.error(
                "lines in a pipe are lost: they could not be published before the process had to end",
                metadata: metadata
            )
        } else {
            logger.warning(
                "the beginning of a line in a pipe is lost: its end had not come when the pipe was let go of",
                metadata: metadata
            )
        }
    }

    // MARK: Lines

    /// Does what is at the front of the pipe, as far as one turn goes: until the log has to be waited for, nothing is left,
    /// or the others want their turn too.
    private func pump(_ reader: PipeReader) {
        reader.lookAt = nil
        guard isServing, !reader.isAppending else { return }
        reader.isDry = false
        guard tail != nil else { return reader.lookAt = now + 1000 }
        // Nobody reads a pipe that another process may read too.
        guard servingLock?.isHeld == true else { return askToServe() }
        let (bytes, isFull) = reader.pipe.peek()
        var rest = bytes[...]
        defer { reader.pipe.take(rest.startIndex) }
        for _ in 0..<PipeInterface.lineCount {
            guard !rest.isEmpty else { break }
            if reader.isSkipping {
                let end = rest.firstIndex(of: UInt8(ascii: "\n"))
                rest = rest[(end.map { $0 + 1 } ?? rest.endIndex)...]
                if end != nil { skip(reader, false) }
                continue
            }
            let portion = reader.interface.portion(
                rest,
                isFull: isFull && rest.startIndex == 0,
                lineCount: reader.singleLines > 0 ? 1 : PipeInterface.lineCount
            )
            switch portion {
            case .lines(let publication, let count, let byteCount):
                return append(publication, count, byteCount, rest, reader)
            case .bad(let sentence, let beginning, let byteCount):
                refuse(sentence, beginning, reader)
                rest = rest.dropFirst(byteCount)
            case .nothing(let byteCount): rest = rest.dropFirst(byteCount)
            case .overlong(let beginning, let byteCount, let isWhole):
                let limit = reader.interface.lineLimit
                refuse("A line has at most \(limit) bytes.", beginning, reader)
                if !isWhole { skip(reader, true) }
                rest = rest.dropFirst(byteCount)
            case .incomplete:
                // A writer's next piece is told; should that ever not be so, it is found a second later.
                reader.incompleteBytes = rest.count
                reader.isDry = true
                reader.lookAt = now + 1000
                return
            }
        }
        reader.incompleteBytes = 0
        reader.isDry = bytes.isEmpty
        if !bytes.isEmpty { reader.lookAt = now }
    }

    /// Notes beyond the process's life that the rest of a line is to be passed over.
    private func skip(_ reader: PipeReader, _ skips: Bool) {
        reader.isSkipping = skips
        servingLock?.note = pipes.filter(\.isSkipping).map { "skip \($0.pipe.name)\n" }.joined()
    }

    private func append(
        _ publication: Publication,
        _ count: Int,
        _ byteCount: Int,
        _ bytes: ArraySlice<UInt8>,
        _ reader: PipeReader
    ) {
        guard hasRoom(for: publication) else {
            reader.lookAt = now + 50
            return
        }
        lastTicket += 1
        pipeTickets[lastTicket] = reader
        reader.state = .appending(
            byteCount: byteCount,
            count: count,
            beginning: String(decoding: bytes.prefix(80), as: UTF8.self)
        )
        append(publication, ticket: lastTicket)
    }

    /// The log's answer to a portion. Whether it was about one.
    func pipeAppended(_ ticket: UInt64, _ outcome: AppendOutcome) -> Bool {
        guard let reader = pipeTickets.removeValue(forKey: ticket) else { return false }
        guard case .appending(let byteCount, let count, let beginning) = reader.state else {
            return true
        }
        reader.state = .idle
        switch outcome {
        case .committed, .repeated:
            metrics.pipeLines += UInt64(count)
            reader.pipe.take(byteCount)
            reader.saidWaiting = false
            reader.singleLines = max(0, reader.singleLines - count)
        case .conflict:
            refuse("The key was used for another message.", beginning, reader)
            reader.pipe.take(byteCount)
        // One of these lines names a channel too many; the others do not wait for it.
        case .noMoreChannels where count > 1: reader.singleLines = count
        case .noMoreChannels:
            refuse(Problem.noMoreChannels.detail, beginning, reader)
            reader.pipe.take(byteCount)
            reader.singleLines = max(0, reader.singleLines - 1)
        case .full, .logBusy, .unavailable, .overQuota:
            if !reader.saidWaiting {
                reader.saidWaiting = true
                logger.warning(
                    "lines wait in the pipe \(reader.settings.path): the log is \(outcome == .full ? "full" : "not available")"
                )
            }
            reader.lookAt = now + (isStopping ? 100 : 1000)
            return true
        }
        // Not in the midst of what the log tells.
        reader.lookAt = now
        return true
    }

    private func refuse(_ sentence: String, _ beginning: String, _ reader: PipeReader) {
        metrics.pipeRefusals += 1
        reader.refused = (reader.refused.count + 1, sentence, beginning)
        // A writer's mistake shows in each of its lines; one note a second is enough.
        if now >= reader.refusalNoteAt { noteRefusals(reader) }
    }

    /// Says which line was refused, and how many since the last note.
    private func noteRefusals(_ reader: PipeReader) {
        let (count, sentence, beginning) = reader.refused
        var metadata: Logger.Metadata = [
            "pipe": "\(reader.settings.path)", "line": "\(beginning)",
        ]
        if count > 1 { metadata["refused"] = "\(count)" }
        logger.warning("a line of a pipe is not published: \(sentence)", metadata: metadata)
        (reader.refused.count, reader.refusalNoteAt) = (0, now + 1000)
    }
}
