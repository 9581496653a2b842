internal import CLinux
internal import Glibc

/// A counter in its own memory that threads of this process can wait on.
@usableFromInline
@safe package final class FutexWord: @unchecked Sendable {
    // Accessed by atomic operations only, and freed with the last reference to the object.
    private let word: UnsafeMutablePointer<UInt32>

    package init() {
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: 0)
    }

    deinit { unsafe word.deallocate() }

    @usableFromInline
    package var value: UInt32 { unsafe clinux_load32(word) }

    /// Adds one and wakes all waiters.
    @usableFromInline
    package func ring() {
        unsafe clinux_add32(word, 1)
        _ = unsafe clinux_futex_wake_all(word)
    }

    /// Waits for a ring after the value was read, at most this long.
    @usableFromInline
    package func wait(whileEqual seen: UInt32, milliseconds: Int64) {
        var time = timespec(
            tv_sec: Int(milliseconds / 1000),
            tv_nsec: Int(milliseconds % 1000) * 1_000_000
        )
        _ = unsafe clinux_futex_wait(word, seen, &time)
    }
}
