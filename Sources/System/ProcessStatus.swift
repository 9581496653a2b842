internal import CLinux
internal import Glibc

/// What the kernel says of this process.
package enum ProcessStatus {
    /// CPU time of all threads.
    package static func cpuMicroseconds() -> Int64 { SystemClock.processNanoseconds() / 1000 }

    /// From `/proc/self/statm`; nil if there is no `/proc`.
    package static func memory() -> (virtualBytes: Int, residentBytes: Int)? {
        let numbers = SmallFile.text(of: "/proc/self/statm").split(separator: " ").prefix(2)
            .compactMap { Int($0) }
        guard numbers.count == 2 else { return nil }
        let page = Int(getpagesize())
        return (numbers[0] * page, numbers[1] * page)
    }

    /// The size of `/proc/self/fd`, where the kernel counts it (from Linux 6.2); else nil.
    package static func openDescriptors() -> Int? {
        var info = stat()
        guard unsafe stat("/proc/self/fd", &info) == 0, info.st_size > 0 else { return nil }
        return Int(info.st_size)
    }

    package static func descriptorLimit() -> Int? { limit().map { Int(clamping: $0.rlim_cur) } }

    /// Raises the limit of descriptors to the most that the administrator allows.
    ///
    /// - Returns: the limit as it is then.
    package static func raiseDescriptorLimit() -> Int {
        guard var raised = limit() else { return .max }
        raised.rlim_cur = raised.rlim_max
        unsafe setrlimit(descriptors, &raised)
        return descriptorLimit() ?? .max
    }

    private static let descriptors = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)

    private static func limit() -> rlimit? {
        var limit = rlimit()
        return unsafe getrlimit(descriptors, &limit) == 0 ? limit : nil
    }
}
