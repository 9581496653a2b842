import CLinux
import Glibc
import Synchronization

/// Hands values from any thread to the one thread that waits for them.
///
/// The lock is held for an append or a swap of arrays only, so that `post` never blocks noticeably.
final class Mailbox<Element: Sendable>: Sendable {
    private struct Contents {
        var elements: [Element] = []
        var waiting = false
    }

    private let contents = Mutex(Contents())
    private let bell = FutexWord()
    private let posted = Atomic(false)

    func post(_ element: Element) {
        let ring = contents.withLock { contents in
            contents.elements.append(element)
            posted.store(true, ordering: .releasing)
            defer { contents.waiting = false }
            return contents.waiting
        }
        if ring { bell.ring() }
    }

    /// Everything posted so far, in order; waits for the first at most the time given (0: not at all).
    func take(waitingMilliseconds: Int64, spinMicroseconds: Int64 = 0) -> [Element] {
        if let elements = takeNow(announcing: false) { return elements }
        if waitingMilliseconds <= 0 { return [] }
        // A publisher that waits for its outcome posts again within microseconds: looking a little longer is cheaper
        // than to sleep and be woken (half as many commits again with one publisher).
        let spinEnd = microseconds(of: CLOCK_MONOTONIC) + spinMicroseconds
        while spinMicroseconds > 0, microseconds(of: CLOCK_MONOTONIC) < spinEnd {
            if posted.load(ordering: .acquiring) {
                if let elements = takeNow(announcing: false) { return elements }
            }
        }
        let end = monotonicMilliseconds() + waitingMilliseconds
        while true {
            let seen = bell.value
            if let elements = takeNow(announcing: true) { return elements }
            let left = end - monotonicMilliseconds()
            if left <= 0 { return [] }
            bell.wait(whileEqual: seen, milliseconds: left)
        }
    }

    private func takeNow(announcing: Bool) -> [Element]? {
        contents.withLock { contents in
            guard !contents.elements.isEmpty else {
                contents.waiting = announcing
                return nil
            }
            contents.waiting = false
            posted.store(false, ordering: .releasing)
            return exchange(&contents.elements, with: [])
        }
    }

    private func exchange(_ a: inout [Element], with b: [Element]) -> [Element] {
        let old = a
        a = b
        return old
    }
}

/// A counter in memory of its own that threads of this process can wait on.
@safe final class FutexWord: @unchecked Sendable {
    // Touched by atomic operations only, and freed when nobody has the object any more.
    private let word: UnsafeMutablePointer<UInt32>

    init() {
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: 0)
    }

    deinit { unsafe word.deallocate() }

    var value: UInt32 { unsafe clinux_load32(word) }

    func ring() {
        unsafe clinux_add32(word, 1)
        _ = unsafe clinux_futex_wake_all(word)
    }

    func wait(whileEqual seen: UInt32, milliseconds: Int64) {
        var time = timespec(milliseconds: milliseconds)
        _ = unsafe clinux_futex_wait(word, seen, &time)
    }
}

extension timespec {
    init(milliseconds: Int64) {
        self.init(
            tv_sec: Int(milliseconds / 1000),
            tv_nsec: Int(milliseconds % 1000) * 1_000_000
        )
    }
}

func microseconds(of clock: clockid_t) -> Int64 {
    var time = timespec()
    _ = unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}

func monotonicMilliseconds() -> Int64 { microseconds(of: CLOCK_MONOTONIC) / 1000 }
