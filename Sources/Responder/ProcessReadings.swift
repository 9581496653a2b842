internal import System

/// What the system reports of this process.
struct ProcessReadings {
    var cpuMicroseconds: Int64 = 0
    var residentBytes: Int64 = -1
    var virtualBytes: Int64 = -1
    /// -1 if the kernel does not count them (before Linux 6.2): counting them here would stop the loop for a while.
    var openDescriptors: Int64 = -1
    var descriptorLimit: Int64 = -1
    var startedAtMilliseconds: Int64 = -1

    /// - Parameter uptimeMilliseconds: since the start of the process.
    static func now(uptimeMilliseconds: Int64) -> ProcessReadings {
        var readings = ProcessReadings()
        readings.cpuMicroseconds = ProcessStatus.cpuMicroseconds()
        if let memory = ProcessStatus.memory() {
            readings.residentBytes = Int64(memory.residentBytes)
            readings.virtualBytes = Int64(memory.virtualBytes)
        }
        if let count = ProcessStatus.openDescriptors() { readings.openDescriptors = Int64(count) }
        if let limit = ProcessStatus.descriptorLimit() { readings.descriptorLimit = Int64(limit) }
        readings.startedAtMilliseconds = SystemClock.wallMilliseconds() - uptimeMilliseconds
        return readings
    }
}
