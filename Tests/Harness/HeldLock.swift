internal import Glibc

/// A lock of a bus directory, such as `apply`, that a test holds in the place of a process of Holdfast.
package final class HeldLock {
    private var descriptor: Int32

    /// Waits until no other process has it; the file must exist.
    package init(_ path: String) throws {
        descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw HarnessError.system("open \(path)") }
        guard flock(descriptor, LOCK_EX) == 0 else { throw HarnessError.system("lock \(path)") }
    }

    package func release() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    deinit { release() }
}
