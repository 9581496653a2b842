/// `[bus]`: the log.
package struct BusSettings: Equatable, Sendable {
    package enum Durability: String, Equatable, Sendable, CaseIterable {
        /// The directory is on tmpfs: nothing survives a reboot.
        case memory
        /// Survives the end of any process (SQLite synchronous NORMAL).
        case process
        /// Survives loss of power (SQLite synchronous FULL).
        case power
    }

    package var directory = "/var/lib/holdfast"
    package var group: String?
    /// The Unix socket on which local programs publish and subscribe; nil: none.
    package var socket: String? = "/run/holdfast-bus/bus.sock"
    /// Its permission bits, at most 0o660.
    package var socketMode: UInt32 = 0o660
    /// Its group; nil: the process's own.
    package var socketGroup: String?
    package var durability = Durability.process
    /// Largest size of the log's file.
    package var maxBytes: Int64 = 256 * 1024 * 1024
    /// Size of the reserve file that is given up when the disk is full.
    package var reserveBytes: Int64 = 4 * 1024 * 1024
    /// Messages kept in memory, the newest of all channels.
    package var memoryMessages = 8192
    /// Bytes of bodies kept in memory.
    package var memoryBytes = 16 * 1024 * 1024
    /// `[engine]`; nil: this machine is a bus of its own.
    package var engine: EngineSettings?
    /// Whether a log of an older format may be upgraded in place, after which processes of older releases cannot use it.
    package var upgradesLog = true

    package init() {}
}
