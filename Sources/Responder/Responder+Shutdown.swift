internal import Bus
internal import Configuration
internal import Core
internal import Endpoint
internal import FastCGI
internal import Logging
internal import System

/// Reload and shutdown.
extension Responder {
    // MARK: Reload

    /// Reads the ini file again, and starts the program anew if its file has changed.
    func reload() {
        supervision.isReloading(now: now)
        let new = sources.reload()
        telemetry.reloaded(isRefused: new == nil)
        if let new { apply(new) }
        handOver.reloaded(now: now)
        // The manager gets the end of the reload from the successor, or after that has failed.
        if !startSuccessor(), !handOver.isTalking {
            supervision.hasReloaded(statusLine, now: now)
        }
    }

    /// Applies the current ini file.
    func apply(_ new: Settings) {
        let differences = Settings.reloadDifferences(from: settings, to: new)
        for key in differences.needsRestart {
            logger.warning("this change takes effect after a restart", metadata: ["key": "\(key)"])
        }
        // A setting that needs a restart keeps its old value, so that status and checks show what is in force.
        settings = settings.reloaded(with: new)
        bus.apply(settings.limits)
        log.replaceRetention { [settings] in settings.retention(of: $0) }
        decoder.reload(settings)
        core.reload(settings, numbers: Self.numbers(settings, logger), at: moment)
        connections.apply(framingLimits)
        drain()
        logger.notice(
            "ini file read again",
            metadata: ["changed": "\(differences.applied.joined(separator: ", "))"]
        )
    }

    /// What a peer may send, and how much it is told that can be served.
    var framingLimits: FramingLimits {
        var framing = FramingLimits()
        framing.paramsBytes = settings.limits.requestVariableBytes
        framing.bodyBytes = max(settings.limits.messageBytes, settings.limits.batchBytes)
        // Descriptors may allow less than the ini file.
        framing.maxConnections = connections.bounds.web
        framing.maxRequests = core.heldLimit
        return framing
    }

    /// The users and groups that the ini file names, looked up once, because that may be slow.
    static func numbers(_ settings: Settings, _ logger: Logger) -> [LocalPrincipal: UInt32] {
        var numbers: [LocalPrincipal: UInt32] = [:]
        for rule in settings.allow {
            for case .local(let principals, _)? in [rule.read, rule.publish] {
                for principal in principals where numbers[principal] == nil {
                    numbers[principal] =
                        switch principal {
                        case .user(let name): Accounts.user(name)
                        case .group(let name): Accounts.group(name)
                        }
                    if numbers[principal] == nil {
                        logger.warning(
                            "[allow \(rule.pattern)] names \(principal), which this machine does not have"
                        )
                    }
                }
            }
        }
        return numbers
    }

    // MARK: The end

    /// Accepts no further connections, and answers every held request with an empty batch and its cursor.
    func stop() {
        guard !isStopping else { return }
        keep("this process stops")
        giveUpTakeOver()
        let deadline = now + Int64(settings.fastcgi.stopSeconds) * 1000
        lifetime.stop(by: deadline)
        logger.notice("stopping", metadata: ["held": "\(core.heldCount)"])
        if handOver.successor == nil {
            supervision.stops("answering \(core.heldCount) held requests", now: now)
        }
        // Peers in the backlog are connected already, and get an answer: from the next process, if the socket outlives
        // this one.
        if entrance.listener.isOpen, !entrance.outlivesProcess {
            while !acceptWebServers() { closeMarked() }
        }
        entrance.close()
        bus.stopLooking()
        if bus.hasPipes { bus.readAll(now: now) } else { endServing() }
        core.stop(at: moment)
        drain()
        // A request may already be on its way on a connection that looks idle.
        for id in connections.all { read(id, toTheEnd: false) }
        core.keepNoConnections()
        for id in connections.all { settle(id) }
        closeMarked()
    }

    /// Whether the pipes can be closed, because nothing is left in them that this process could publish.
    ///
    /// It may be the last process that has them open. If several stop together, each gives the lock back first, and only
    /// then checks whether something has arrived since. If so, the one that gets the lock publishes it, and one that does
    /// not get it waits a little: the other either reads it, or gives the lock back in its turn.
    func letGoOfPipes() -> Bool {
        guard let deadline = lifetime.deadline, bus.hasPipes else { return true }
        let isOver = now >= deadline
        if bus.isServing, bus.isLocked, !isOver, !bus.areDry { return false }
        bus.giveUp(now: now)
        core.forgetPipes()
        if !isOver, bus.haveLines {
            if core.position != nil, bus.takeIfFree(now: now) {
                lifetime.publishesPipes()
                return false
            }
            if lifetime.waitForPipes(now: now) { return false }
        }
        bus.closePipes()
        return true
    }
}
