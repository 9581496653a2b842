internal import Bus
internal import Configuration
internal import Core
internal import Glibc
internal import Logging
internal import Reactor
internal import System
internal import Text

/// Handing everything over to a newer process, from the side of the older one.
///
/// It serves until the newer one is able to. Then it pauses: it accepts and reads nothing more, and what is under way
/// is completed, which takes milliseconds. The rest happens in one step of the loop, in which nothing changes:
/// everything held is written and sent, until the newer process confirms that it is its own. If anything goes wrong
/// before that, this process resumes as if nothing had happened.
extension Responder {
    static let settlingMilliseconds: Int64 = 3000
    /// The newer process must take what it is sent, and be ready, within this time: no client is served meanwhile. A
    /// busy machine takes 40 µs for each connection, and a process that hangs does not benefit from more time.
    private var answerMilliseconds: Int64 {
        2000 + Int64(connections.webCount + connections.busCount) / 20
    }
    /// How long after `yours` the newer process may take for `mine`.
    static let mineMilliseconds: Int64 = 5000

    /// The address of web servers, for a process that compares it with its ini file.
    var listenAddress: String {
        let configured = settings.fastcgi.listen
        return configured == .inherited ? entrance.address : "\(configured)"
    }

    /// The same, if another process can take the socket over; nil if it was inherited from a process that looks after it.
    var offeredAddress: String? {
        let isInherited = settings.fastcgi.listen == .inherited && !entrance.outlivesProcess
        return isInherited || listenAddress.isEmpty ? nil : listenAddress
    }

    // MARK: Communication

    func welcomeSuccessors() {
        handOver.welcomeAll(user: geteuid(), now: now) { newcomer in
            if handOver.isTalking { return "another process is about to take over" }
            if isStopping { return "this process stops" }
            if takeOver.isWaiting { return "this process is about to take over itself" }
            // The manager would not follow: for it, the service would have ended.
            if supervision.isWatched, !isOfSameGroup(newcomer.process) {
                return
                    "this process belongs to a service manager, for which the service would seem to have ended: ask the "
                    + "manager instead (systemctl reload)"
            }
            return nil
        }
    }

    private func isOfSameGroup(_ process: Int32) -> Bool {
        let ours = SmallFile.text(of: "/proc/self/cgroup")
        return !ours.isEmpty && SmallFile.text(of: "/proc/\(process)/cgroup") == ours
    }

    /// Starts the program anew if its file has changed. Returns false if there is nothing to start.
    func startSuccessor() -> Bool {
        guard !isStopping, !takeOver.isWaiting, core.position != nil,
            let successor = handOver.successorToStart()
        else { return false }
        do {
            try handOver.start(successor, now: now)
            logger.notice(
                "the program's file has changed: starting the new one, which takes over",
                metadata: ["program": "\(successor.program)"]
            )
            return handOver.isTalking
        } catch {
            logger.error("the new program cannot be started, so this one continues: \(error)")
            return false
        }
    }

    func hearSuccessor() {
        while let received = handOver.next() {
            switch received {
            case .success(let message): hear(message)
            case .failure(let end): keep(end.sentence)
            }
        }
    }

    private func hear(_ message: HandOverMessage) {
        switch message {
        case .hello(_, let release):
            logger.notice(
                "another process asks to take over",
                metadata: [
                    "process": "\(handOver.channel?.process ?? 0)",
                    "version": "\(release)",
                ]
            )
            handOver.greet(
                .welcome(
                    format: HandOverMessage.format,
                    release: Version.current,
                    listen: listenAddress,
                    connections: connections.webCount + connections.busCount
                ),
                now: now
            )
        case .able where handOver.mayPause: pause()
        case .unable(let why): keep(why)
        case .endPolitely(let why): endPolitely(why)
        default: keep(HandOverEnd.notUnderstood.sentence)
        }
    }

    /// Does what is due.
    func turnHandOver() {
        handOver.looked(now: now)
        if let end = handOver.settlesUntil {
            if core.isSettled {
                handEverythingOver()
            } else if now >= end {
                keep("requests wait for the log, which does not answer")
            }
        } else if now >= handOver.deadline {
            keep("it has been silent for too long")
        }
        guard !handOver.isTalking else { return }
        handOver.lookAfter(settings.bus, listen: offeredAddress, now: now)
    }

    /// The newer process does not understand the format: this one ends as if it were stopped, and makes room.
    private func endPolitely(_ why: String) {
        logger.warning(
            "the other process cannot take the held requests over, so they are answered: \(why)"
        )
        handOver.leaveToChild()
        stop()
    }

    // MARK: Pausing

    private func pause() {
        handOver.pause(until: now + Self.settlingMilliseconds)
        logger.notice("handing over", metadata: ["held": "\(core.heldCount)"])
        entrance.rest()
        bus.rest()
        core.pause(at: moment)
        drain()
    }

    /// Resumes as if nothing had happened; both sides log why.
    func keep(_ why: String) {
        guard handOver.isTalking else { return }
        let process = handOver.channel?.process ?? 0
        handOver.refuse(why)
        logger.error(
            "process \(process) has not taken over, so this one continues: \(why)"
        )
        if handOver.isPaused { goOn() }
        supervision.hasReloaded(statusLine, now: now)
    }

    private func goOn() {
        let reloads = handOver.resume()
        core.goOn(at: moment)
        drain()
        bus.goOn()
        entrance.open(now: now)
        // Their events came while nothing was read.
        for id in connections.all { connections.readLater(id) }
        if reloads { reload() }
    }

    // MARK: The step

    private func handEverythingOver() {
        guard let channel = handOver.channel else { return }
        let begin = MonotonicClock.milliseconds()
        closeMarked()
        guard core.isSettled else { return }
        let end = begin + answerMilliseconds
        do throws(HandOverFailure) {
            try send(on: channel, until: end)
            try hear(.ready, on: channel, until: end)
            try tell(.yours, on: channel, until: end)
        } catch {
            return keep(error.sentence)
        }
        do throws(HandOverFailure) {
            let end = MonotonicClock.milliseconds() + Self.mineMilliseconds
            try hear(.mine, on: channel, until: end)
        } catch {
            // It may act at any time: there must not be two.
            channel.kill()
            guard channel.hasEnded(waitingMilliseconds: 5000), !hasSaidMine(channel) else {
                logger.critical(
                    "process \(channel.process) has not answered in time, but may have taken over: this one ends, too"
                )
                return letGo(to: channel)
            }
            return keep(error.sentence)
        }
        letGo(to: channel)
        logger.notice(
            "handed over",
            metadata: [
                "process": "\(channel.process)",
                "milliseconds": "\(MonotonicClock.milliseconds() - begin)",
            ]
        )
    }

    /// Whether it had confirmed before it was ended: its clients may have its answers.
    private func hasSaidMine(_ channel: MessageChannel) -> Bool {
        guard case .message(let bytes, _) = channel.receive() else { return false }
        return (try? HandOverMessage(bytes)) == .mine
    }

    private func send(on channel: MessageChannel, until end: Int64) throws(HandOverFailure) {
        let all = connections.all
        let (common, descriptors) = try handedCommon()
        try send(.common, common, descriptors, on: channel, until: end)
        let ranks = core.holdRanks
        // One place is for the file.
        let most = MessageChannel.descriptorLimit - 1
        for start in stride(from: 0, to: all.count, by: most) {
            let ids = Array(all[start..<min(all.count, start + most)])
            let bytes = HandedBatch.bytes(ids.map(connections.handed)) { pack in
                core.handOver(ids, ranks: ranks, into: &pack)
            }
            try send(
                .batch(connections: ids.count),
                bytes,
                ids.map(\.index),
                on: channel,
                until: end
            )
        }
        try tell(.whole(connections: all.count), on: channel, until: end)
    }

    private func handedCommon() throws(HandOverFailure) -> ([UInt8], [Int32]) {
        guard let core = core.handedCommon else {
            throw HandOverFailure(sentence: "the log is not open")
        }
        var state = HandedCommonState(history: telemetry.history.handed, core: core)
        var descriptors: [Int32] = []
        func add(_ listener: Listener?) -> Listener.Handed? {
            guard let listener, listener.isOpen else { return nil }
            let (value, numbers) = listener.handed
            descriptors += numbers
            return value
        }
        state.web = add(entrance.listener)
        if let (listener, lock) = bus.handed {
            state.servesBus = true
            descriptors.append(lock)
            state.bus = add(listener)
        }
        state.restingBus = add(bus.resting)
        let values = snapshot(.counts).values
        for (figure, value) in zip(Figure.all, values) where figure.isCarried && value > 0 {
            state.figures[figure.sample] = value
        }
        var pack = Packer()
        pack.add(state)
        return (pack.bytes, descriptors)
    }

    /// Sends content in a file in memory: it may be of any size, and needs no room in the socket.
    private func send(
        _ message: HandOverMessage,
        _ content: [UInt8],
        _ descriptors: [Int32],
        on channel: MessageChannel,
        until end: Int64
    ) throws(HandOverFailure) {
        let file: OwnedDescriptor
        do throws(SystemError) {
            file = try OwnedDescriptor.inMemory("holdfast", content)
        } catch {
            throw HandOverFailure(sentence: "\(error)")
        }
        try tell(message, [file.number] + descriptors, on: channel, until: end)
    }

    private func tell(
        _ message: HandOverMessage,
        _ descriptors: [Int32] = [],
        on channel: MessageChannel,
        until end: Int64
    ) throws(HandOverFailure) {
        switch channel.send(message.bytes, descriptors: descriptors, until: end) {
        case .sent: break
        case .full: throw HandOverFailure(sentence: "it has not read in time what it was sent")
        case .gone: throw HandOverFailure(sentence: HandOverEnd.left.sentence)
        }
    }

    private func hear(
        _ expected: HandOverMessage,
        on channel: MessageChannel,
        until end: Int64
    ) throws(HandOverFailure) {
        switch channel.receive(until: end) {
        case .nothing: throw HandOverFailure(sentence: "it has not answered in time")
        case .ended: throw HandOverFailure(sentence: HandOverEnd.left.sentence)
        case .message(let bytes, let descriptors):
            for descriptor in descriptors { _ = OwnedDescriptor(descriptor) }
            let message = try? HandOverMessage(bytes)
            if message == expected { return }
            if case .unable(let why) = message { throw HandOverFailure(sentence: why) }
            throw HandOverFailure(sentence: HandOverEnd.notUnderstood.sentence)
        }
    }

    /// The newer process has everything: it is closed here, which ends nothing.
    private func letGo(to channel: MessageChannel) {
        handOver.end(channel)
        // Orders of the manager or the operator that came meanwhile are for the newer process.
        supervision.passesOn(to: channel.process, now: now)
        if handOver.mayHaveOldSettings(now: now) { channel.signal(SIGHUP) }
        passSignalsOn()
        connections.letGo()
        entrance.letGo()
        bus.letGo()
        handOver.letGo()
    }
}

extension Responder {
    /// Signals for this process are for the one that has everything now.
    func passSignalsOn() {
        while let signal = sources.signals.next() { handOver.successor?.signal(signal) }
    }
}

/// Why a hand-over has failed, as half a sentence about the other process.
struct HandOverFailure: Error {
    let sentence: String
}
