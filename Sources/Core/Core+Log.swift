package import Channels

/// What the log tells.
extension Core {
    /// An event of the log. `.unavailable` and `.notice` are the shell's to write down; the core takes the first as a sign
    /// that it is not ready.
    ///
    /// - Parameter toldAt: monotonic nanoseconds when the log told it.
    package mutating func log(_ event: LogEvent, toldAt: Int64, at moment: Moment) {
        fatalError("not written yet")
    }

    /// Where the log stands, as far as the core knows; nil until it is open.
    package var position: Cursor? {
        fatalError("not written yet")
    }

    /// The log is open and takes publications.
    package var isLogAvailable: Bool {
        fatalError("not written yet")
    }

    /// The log is available, and the process does not stop.
    package var isReady: Bool {
        fatalError("not written yet")
    }
}
