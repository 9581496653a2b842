import Channels
import Synchronization
import System

/// The threads of a process that has an engine: one publishes; one follows, while the process has the lock `apply`.
final class EngineThreads: Sendable {
    private let shared: LogShared
    private let link: EngineLink
    /// Ends the follower's waiting.
    private let bell: Mailbox<Bool>?
    private let started = Mutex<(publisher: WorkerThread?, lock: ServingLock?)>((nil, nil))

    init(_ shared: LogShared, _ link: EngineLink) {
        (self.shared, self.link) = (shared, link)
        bell = try? Mailbox<Bool>()
    }

    func start() {
        let (shared, link, bell) = (shared, link, bell)
        let publisher = Log.thread("hf-engine") { EnginePublisher(shared, link).run() }
        let lock = ServingLock(shared.settings, name: "apply") { outcome in
            switch outcome {
            case .success:
                // On the thread that waited for the lock.
                EngineFollower(shared, link, bell: bell).run()
            case .failure(let problem):
                shared.say(
                    "this process can't apply what other machines publish: \(problem)",
                    .error
                )
            }
        }
        started.withLock { $0 = (publisher, lock) }
    }

    /// Hands over what is queued, and lets another process follow.
    func stop(patienceMilliseconds: Int64) {
        link.box.post(.stop)
        let (publisher, lock) = started.withLock { $0 }
        _ = publisher?.join(patienceMilliseconds: patienceMilliseconds)
        shared.stopping.store(true, ordering: .releasing)
        bell?.post(true)
        lock?.release()
    }
}
