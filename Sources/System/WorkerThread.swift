internal import CLinux
internal import Glibc
internal import Synchronization

/// A thread besides the main one, with all signals blocked, that ends when its body returns.
package final class WorkerThread: Sendable {
    private final class Start {
        let body: @Sendable () -> Void
        let thread: WorkerThread
        let name: String

        init(_ body: @escaping @Sendable () -> Void, _ thread: WorkerThread, _ name: String) {
            self.body = body
            self.thread = thread
            self.name = name
        }
    }

    private let ended = Atomic(false)
    private let bell = FutexWord()

    /// Nil if the system provides no thread.
    ///
    /// - Parameter name: at most 15 bytes, as `top -H` shows it.
    package init?(name: String, _ body: @escaping @Sendable () -> Void) {
        let start = unsafe Unmanaged.passRetained(Start(body, self, name))
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        // Not from elsewhere, but the thread's own: an access to a mapped file that has been shortened.
        unsafe sigdelset(&all, SIGBUS)
        // A new thread inherits the mask, so no signal can reach it before it has blocked them.
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        var id = pthread_t()
        let code = unsafe pthread_create(
            &id,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                nameThisThread(start.name)
                start.body()
                start.thread.ended.store(true, ordering: .releasing)
                start.thread.bell.ring()
                return nil
            },
            start.toOpaque()
        )
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
        guard code == 0 else {
            unsafe start.release()
            return nil
        }
        pthread_detach(id)
    }

    /// Waits at most this long; whether the thread ended.
    package func join(patienceMilliseconds: Int64) -> Bool {
        let end = MonotonicClock.milliseconds() + patienceMilliseconds
        while !ended.load(ordering: .acquiring) {
            let seen = bell.value
            if ended.load(ordering: .acquiring) { return true }
            let left = end - MonotonicClock.milliseconds()
            if left <= 0 { return false }
            bell.wait(whileEqual: seen, milliseconds: left)
        }
        return true
    }
}

/// Best effort; pthread_setname_np is hidden from Swift.
private func nameThisThread(_ name: String) {
    let file = unsafe open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    _ = unsafe write(file, name, name.utf8.count)
    close(file)
}
