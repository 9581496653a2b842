import Channels
import Synchronization
import System

/// The threads of a process that has an engine: one publishes; one follows while the process has the lock `apply`.
final class EngineThreads: Sendable {
    private let shared: LogShared
    private let link: EngineLink
    /// Ends the follower's wait.
    private let bell: Mailbox<Bool>?
    private let started = Mutex<(publisher: WorkerThread?, lock: ServingLock?)>((nil, nil))

    init(_ shared: LogShared, _ link: EngineLink) {
        (self.shared, self.link) = (shared, link)
        bell = try? Mailbox<Bool>()
    }

    func start() {
        let (shared, link) = (shared, link)
        let publisher = Log.thread("hf-engine") { EnginePublisher(shared, link).run() }
        started.withLock { $0.publisher = publisher }
        waitForTurn()
    }

    /// Follows when this process has the lock `apply`. If it cannot be acquired, this keeps trying.
    private func waitForTurn() {
        let lock = ServingLock(shared.settings, name: "apply") { [self] outcome in
            // On the thread that waited for the lock.
            switch outcome {
            case .success: EngineFollower(shared, link, bell: bell).run()
            case .failure(let problem):
                if link.note("\(problem)", of: .following, shared) {
                    shared.say(
                        "this process cannot apply what other machines publish: \(problem)",
                        .error
                    )
                }
                MonotonicClock.sleep(milliseconds: 1000)
                if !shared.stopping.load(ordering: .acquiring) { waitForTurn() }
            }
        }
        started.withLock { $0.lock = lock }
        // The process may have been stopped meanwhile, which released the lock from before.
        if shared.stopping.load(ordering: .acquiring) { lock.release() }
    }

    /// Completes the queued publications, and lets another process follow.
    func stop(patienceMilliseconds: Int64) {
        link.box.post(.stop)
        let publisher = started.withLock { $0.publisher }
        _ = publisher?.join(patienceMilliseconds: patienceMilliseconds)
        shared.stopping.store(true, ordering: .releasing)
        bell?.post(true)
        started.withLock { $0.lock }?.release()
    }
}
