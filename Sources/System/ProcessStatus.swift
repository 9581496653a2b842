internal import CLinux
internal import Glibc

/// What the kernel says of this process.
package enum ProcessStatus {
    /// CPU time of all threads.
    package static func cpuMicroseconds() -> Int64 { SystemClock.processNanoseconds() / 1000 }

    /// From `/proc/self/statm`; nil where there is no `/proc`.
    package static func memory() -> (virtualBytes: Int, residentBytes: Int)? {
        let descriptor = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = unsafe read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return nil }
        let numbers = bytes[..<count].split(separator: UInt8(ascii: " ")).prefix(2)
            .compactMap { Int(String(decoding: $0, as: UTF8.self)) }
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

    package static func descriptorLimit() -> Int? {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard unsafe getrlimit(resource, &limit) == 0 else { return nil }
        return Int(clamping: limit.rlim_cur)
    }
}
