internal import CLinux
internal import Glibc
package import System

/// The events for which a descriptor is watched.
package struct WatchedEvents: OptionSet, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let read = WatchedEvents(rawValue: EPOLLIN.rawValue)
    package static let write = WatchedEvents(rawValue: EPOLLOUT.rawValue)
    package static let peerClosed = WatchedEvents(rawValue: EPOLLRDHUP.rawValue)
    /// Reported once per change instead of as long as it lasts.
    package static let edge = WatchedEvents(rawValue: EPOLLET.rawValue)
    /// Wakes only one of several processes that watch the same socket.
    package static let exclusive = WatchedEvents(rawValue: EPOLLEXCLUSIVE.rawValue)
}

/// An event of a watched descriptor.
package struct Readiness {
    package let descriptor: Int32
    /// As given at registration. Closed descriptor numbers are reused at once, so an event of the same turn may concern
    /// the number's former owner; the generation distinguishes them.
    package let generation: UInt32
    package let events: UInt32

    package var canRead: Bool { events & EPOLLIN.rawValue != 0 }
    package var canWrite: Bool { events & EPOLLOUT.rawValue != 0 }
    package var peerClosed: Bool {
        events & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0
    }
}

/// One epoll instance. Reactor thread only.
@safe package final class Epoll {
    private let descriptor: OwnedDescriptor
    /// Allocated once, and doubled when a wait has filled it, so that a turn of the loop allocates nothing.
    private var events: [epoll_event]
    private var ready = 0

    package init() throws(SystemError) {
        let number = try SystemCalls.check(
            epoll_create1(Int32(EPOLL_CLOEXEC)),
            "create",
            on: "an epoll instance"
        )
        descriptor = OwnedDescriptor(number)
        unsafe events = [epoll_event](repeating: epoll_event(), count: 512)
    }

    package func add(_ number: Int32, generation: UInt32 = 0, _ watched: WatchedEvents)
        throws(SystemError)
    {
        try control(EPOLL_CTL_ADD, number, generation, watched)
    }

    package func change(_ number: Int32, generation: UInt32 = 0, _ watched: WatchedEvents)
        throws(SystemError)
    {
        try control(EPOLL_CTL_MOD, number, generation, watched)
    }

    package func remove(_ number: Int32) {
        _ = epoll_ctl(descriptor.number, EPOLL_CTL_DEL, number, nil)
    }

    /// Waits at most this long (negative: for ever), and returns the number of events, which `event` gives.
    package func wait(milliseconds: Int32) throws(SystemError) -> Int {
        if unsafe ready == events.count {
            unsafe events += [epoll_event](repeating: epoll_event(), count: events.count)
        }
        let count = unsafe epoll_wait(descriptor.number, &events, Int32(events.count), milliseconds)
        if count < 0, errno != EINTR {
            throw SystemError("wait for", on: "descriptors", code: errno)
        }
        ready = max(0, Int(count))
        return ready
    }

    /// One of the events of the last wait.
    package func event(_ index: Int) -> Readiness {
        precondition(index < ready, "the last wait returned fewer events")
        let event = unsafe events[index]
        let data = unsafe event.data.u64
        return Readiness(
            descriptor: Int32(truncatingIfNeeded: data & 0xffff_ffff),
            generation: UInt32(truncatingIfNeeded: data >> 32),
            events: unsafe event.events
        )
    }

    private func control(
        _ operation: Int32,
        _ number: Int32,
        _ generation: UInt32,
        _ watched: WatchedEvents
    ) throws(SystemError) {
        var event = unsafe epoll_event()
        unsafe event.events = watched.rawValue
        unsafe event.data.u64 = UInt64(generation) << 32 | UInt64(UInt32(bitPattern: number))
        let outcome = unsafe epoll_ctl(descriptor.number, operation, number, &event)
        try SystemCalls.check(outcome, "watch", on: "descriptor \(number)")
    }
}
