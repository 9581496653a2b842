import CLinux
import Glibc
import System

extension timespec {
    init(milliseconds: Int64) {
        self.init(
            tv_sec: Int(milliseconds / 1000),
            tv_nsec: Int(milliseconds % 1000) * 1_000_000
        )
    }
}

func monotonicMilliseconds() -> Int64 { MonotonicClock.milliseconds() }
