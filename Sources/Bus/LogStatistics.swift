/// Counters since the start of the process, and the size of the write-ahead log.
package struct LogStatistics: Equatable, Sendable {
    /// Committed groups.
    package var commits = 0
    package var messagesAppended = 0
    /// Bytes of bodies.
    package var bytesAppended = 0
    /// Messages that other processes appended and this one read.
    package var messagesFollowed = 0
    package var messagesTrimmed = 0
    package var messagesExpired = 0
    package var checkpoints = 0
    package var walBytes = 0
    /// Channels the log remembers and messages in it, as of the last look.
    package var channels = 0
    package var messagesKept = 0
    package var gateWaits = 0
    package var gateWaitMicroseconds: Int64 = 0
    package var longestGateWaitMicroseconds: Int64 = 0
    package var diskFull = 0
    package var openings = 0
    package var historyReads = 0

    package init() {}
}
