internal import Bus
internal import Configuration
internal import Endpoint
internal import Glibc
internal import Logging
internal import Reactor

/// Serving the bus: its socket belongs to whichever process has the `ServingLock`.
extension Responder {
    /// Paths are looked at, and what failed is tried again, this often while this process serves.
    static let lookMilliseconds: Int64 = 2000

    /// The log is open, perhaps in a directory that took the old one's place: asks for the lock there.
    func askToServe() {
        guard servesBus, !isStopping else { return }
        if isServing {
            if servingLock?.isHeld == true { return }
            logger.notice("the bus directory was replaced; serving its socket anew")
            stopServing()
        } else if servingLock != nil {
            // It is waited for, and finds a new file by itself.
            return
        }
        // Every process keeps its pipes the ones that writers open.
        if !pipes.isEmpty { lookAgainAt = min(lookAgainAt, now + Self.lookMilliseconds) }
        servingRound += 1
        let (mailbox, round) = (mailbox, servingRound)
        servingLock = ServingLock(settings.bus) { outcome in
            mailbox.post(.serving(round: round, outcome))
        }
    }

    /// The lock is ours, or can't be had.
    func serve(round: Int, _ outcome: Result<Void, ServingProblem>) {
        guard round == servingRound else { return }
        if isStopping {
            // It came while the last answers are given: somebody else's turn.
            servingLock?.release()
            servingLock = nil
            return
        }
        switch outcome {
        case .success:
            isServing = true
            startPipes()
            lookAgainAt = now
            lookAtBus()
        case .failure(let problem):
            logger.error("the bus is not served by this process: \(problem)")
            servingLock = nil
            lookAgainAt = now + Self.lookMilliseconds
        }
    }

    /// Makes what is missing, and what somebody took away.
    func lookAtBus() {
        guard now >= lookAgainAt, servesBus, !isStopping else { return }
        lookAgainAt = now + Self.lookMilliseconds
        lookAtPipes()
        guard isServing else {
            if tail != nil, servingLock == nil { askToServe() }
            return
        }
        guard servingLock?.isHeld == true else { return askToServe() }
        guard let path = settings.bus.socket else { return }
        if let busListener {
            if busListener.isInPlace { return }
            logger.warning("somebody took \(path) away; making it again")
            closeBusListener()
        }
        do {
            let made = try Listener(busSocket: path, settings.bus)
            try epoll.add(made.descriptor, [.read])
            busListener = made
            servingTrouble = ""
            logger.notice("serving the bus", metadata: ["socket": "\(path)"])
        } catch {
            // Whoever served the bus before may still be giving its socket up.
            if servingTrouble != "\(error)" {
                (servingTrouble, isTroubleTold) = ("\(error)", false)
                logger.notice("\(error); trying again")
            } else if !isTroubleTold {
                isTroubleTold = true
                logger.error("\(error)")
            }
        }
    }

    /// Gives the socket and the lock to whoever waits for them.
    func stopServing() {
        guard isServing else { return }
        closeBusListener()
        stopPipes()
        isServing = false
        servingLock?.release()
        servingLock = nil
    }

    func closeBusListener() {
        guard let busListener else { return }
        epoll.remove(busListener.descriptor)
        busListener.removePath()
        busListener.close()
        self.busListener = nil
    }
}
