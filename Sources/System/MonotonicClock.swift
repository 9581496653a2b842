internal import CLinux
internal import Glibc

/// CLOCK_MONOTONIC, for deadlines: it never jumps.
@usableFromInline
package enum MonotonicClock {
    package static func nanoseconds() -> Int64 { SystemClock.nanoseconds(of: CLOCK_MONOTONIC) }

    @usableFromInline
    package static func microseconds() -> Int64 { nanoseconds() / 1000 }

    @usableFromInline
    package static func milliseconds() -> Int64 { nanoseconds() / 1_000_000 }

    /// For commands; the reactor never sleeps.
    package static func sleep(milliseconds: Int64) {
        let end = self.milliseconds() + milliseconds
        while true {
            let left = end - self.milliseconds()
            guard left > 0 else { return }
            _ = poll(nil, 0, Int32(clamping: left))
        }
    }
}

/// The other clocks of the machine.
package enum SystemClock {
    /// Since 1970; it jumps when it is set.
    package static func wallMilliseconds() -> Int64 {
        nanoseconds(of: CLOCK_REALTIME) / 1_000_000
    }

    /// Since the machine was started, including the time that it was suspended.
    package static func millisecondsSinceBoot() -> Int64 {
        nanoseconds(of: CLOCK_BOOTTIME) / 1_000_000
    }

    /// CPU time of this process.
    static func processNanoseconds() -> Int64 { nanoseconds(of: CLOCK_PROCESS_CPUTIME_ID) }

    fileprivate static func nanoseconds(of clock: clockid_t) -> Int64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
