import CLinux
package import Channels
import Glibc
import Synchronization
import System

/// The right to serve what only one process of a bus can serve: its socket and its pipes.
///
/// It is a flock on the file `serve` in the bus directory. Each process has a thread that waits for it in the kernel:
/// however the process that holds it ends, another one has it at once. Closing the file releases it.
package final class ServingLock: Sendable {
    private let path: String
    private let descriptor = Mutex<Int32>(-1)
    /// The lock is no longer wanted: the thread releases it when it gets it.
    private let isGivenUp = Atomic<Bool>(false)

    /// Begins to wait for it, in a thread of its own.
    ///
    /// - Parameters:
    ///   - settings: its directory must exist.
    ///   - told: called on that thread (or at once if there is none), at most once: the lock is ours, or why it cannot
    ///     be acquired.
    ///   - name: of the file.
    package init(
        _ settings: BusSettings,
        name: String = "serve",
        told: @escaping @Sendable (Result<Void, ServingProblem>) -> Void
    ) {
        path = "\(settings.directory)/\(name)"
        // The thread keeps the object alive, so the descriptor stays open until the thread ends.
        let thread = WorkerThread(name: "hf-serving") { told(self.acquire(settings)) }
        if thread == nil {
            told(.failure(ServingProblem(description: "the system starts no thread")))
        }
    }

    /// Takes the lock if it is free, without waiting.
    package init?(freeIn settings: BusSettings) {
        path = settings.directory + "/serve"
        let opened = unsafe open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard opened >= 0 else { return nil }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0,
            FileIdentity(descriptor: opened) == FileIdentity(path: path)
        else {
            close(opened)
            return nil
        }
        descriptor.withLock { $0 = opened }
    }

    /// Takes over the lock of another process, which hands its descriptor over: a flock belongs to what was opened, not to
    /// the process.
    package init(_ settings: BusSettings, handedOver number: Int32) {
        path = settings.directory + "/serve"
        descriptor.withLock { $0 = number }
    }

    /// For another process to take over; -1 while it is not ours.
    package var number: Int32 { descriptor.withLock { $0 } }

    deinit { release() }

    /// Whether it is ours and the file is still the one that others wait on.
    package var isHeld: Bool {
        let held = descriptor.withLock { $0 }
        return held >= 0 && FileIdentity(descriptor: held) == FileIdentity(path: path)
    }

    /// A note that outlives the process, for the next one that serves; to be used while it is held.
    package var note: String {
        get { SmallFile.text(of: path) }
        set {
            descriptor.withLock { descriptor in
                guard descriptor >= 0 else { return }
                // Shortened last: if the process is killed in between, the note says too much, not too little.
                _ = unsafe pwrite(descriptor, newValue, newValue.utf8.count, 0)
                _ = ftruncate(descriptor, newValue.utf8.count)
            }
        }
    }

    package func release() {
        isGivenUp.store(true, ordering: .sequentiallyConsistent)
        descriptor.withLock { descriptor in
            if descriptor >= 0 { close(descriptor) }
            descriptor = -1
        }
    }

    private func acquire(_ settings: BusSettings) -> Result<Void, ServingProblem> {
        while true {
            do {
                let directory = try BusDirectory(settings: settings)
                try directory.makeFile(path)
            } catch {
                return .failure(ServingProblem(description: "\(error)"))
            }
            let opened = unsafe open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
            guard opened >= 0 else {
                if errno == ENOENT { continue }
                return .failure(
                    ServingProblem(description: "\(BusDirectory.problem("open", path))")
                )
            }
            while flock(opened, LOCK_EX) != 0 {
                if errno == EINTR { continue }
                let problem = BusDirectory.problem("lock", path)
                close(opened)
                return .failure(ServingProblem(description: "\(problem)"))
            }
            // The file may have been replaced, with the whole directory say, while we waited.
            if FileIdentity(descriptor: opened) == FileIdentity(path: path) {
                let isWanted = descriptor.withLock { descriptor in
                    guard !isGivenUp.load(ordering: .sequentiallyConsistent) else { return false }
                    descriptor = opened
                    return true
                }
                if !isWanted { close(opened) }
                return .success(())
            }
            close(opened)
        }
    }

    /// The number of the process that serves the bus of this directory, as far as that can be determined.
    package static func holder(_ settings: BusSettings) -> Int32? {
        FileIdentity(path: settings.directory + "/serve").flatMap(FileLock.holder)
    }

    /// Whether some process serves the bus of this directory now; nil if that cannot be determined.
    package static func isTaken(_ settings: BusSettings) -> Bool? {
        let file = unsafe open(settings.directory + "/serve", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return errno == ENOENT ? false : nil }
        defer { close(file) }
        if flock(file, LOCK_SH | LOCK_NB) == 0 { return false }
        return errno == EWOULDBLOCK ? true : nil
    }
}

/// Why a process cannot serve a bus, as a sentence for the operator.
package struct ServingProblem: Error, Sendable, CustomStringConvertible {
    package let description: String
}
