internal import CLinux
internal import Glibc
package import System

/// Signals as events of the loop.
package final class SignalDescriptor {
    private let descriptor: OwnedDescriptor

    /// Blocks the signals for this thread and all that it starts later, and collects them here. Must be created on the
    /// main thread before any other thread exists.
    package init(_ signals: [Int32]) throws(SystemError) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        let flags = Int32(SFD_CLOEXEC | SFD_NONBLOCK)
        let number = try SystemCalls.check(
            unsafe signalfd(-1, &set, flags),
            "create",
            on: "a signal descriptor"
        )
        descriptor = OwnedDescriptor(number)
    }

    package var number: Int32 { descriptor.number }

    /// The next pending signal, or nil.
    package func next() -> Int32? {
        var info = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        guard unsafe read(descriptor.number, &info, size) == size else { return nil }
        return Int32(info.ssi_signo)
    }
}
