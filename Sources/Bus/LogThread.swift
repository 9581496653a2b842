import CLinux
import Glibc
import Synchronization

/// A thread beside the reactor's: all signals blocked (they are the reactor's), ended by its own body.
package final class LogThread: Sendable {
    private final class Start {
        let body: @Sendable () -> Void
        let thread: LogThread
        let name: String
        init(_ body: @escaping @Sendable () -> Void, _ thread: LogThread, _ name: String) {
            self.name = name
            self.body = body
            self.thread = thread
        }
    }

    private let ended = Atomic(false)
    private let bell = FutexWord()

    /// - Parameter name: at most 15 bytes, as `top -H` shows it.
    @discardableResult
    package init(name: String, _ body: @escaping @Sendable () -> Void) {
        let start = unsafe Unmanaged.passRetained(Start(body, self, name)).toOpaque()
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        // A new thread inherits the mask, so that no signal can reach it before it has blocked them.
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
            start
        )
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
        precondition(code == 0, "the log needs its threads; pthread_create said \(code)")
        pthread_detach(id)
    }

    /// Whether the thread ended within the time.
    func join(patienceMilliseconds: Int64) -> Bool {
        let end = monotonicMilliseconds() + patienceMilliseconds
        while !ended.load(ordering: .acquiring) {
            let seen = bell.value
            if ended.load(ordering: .acquiring) { return true }
            let left = end - monotonicMilliseconds()
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
