package import Identity
internal import Synchronization

/// Counts what became of the signed links that were shown. One for all interfaces that a process makes from its settings.
package final class LinkTally: Sendable {
    package struct Counters: Equatable, Sendable {
        package fileprivate(set) var verified: UInt64 = 0
        package fileprivate(set) var refusals = RefusalCounts()

        package init() {}
    }

    private let counters = Mutex(Counters())

    package init() {}

    package var now: Counters { counters.withLock { $0 } }

    func verified() { counters.withLock { $0.verified += 1 } }
    func refused(_ refusal: Refusal) { counters.withLock { $0.refusals[refusal.kind] += 1 } }
}
