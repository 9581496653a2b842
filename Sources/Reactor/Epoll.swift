internal import CLinux
internal import Glibc
internal import System

/// What a descriptor is watched for.
package struct Interest: OptionSet, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let read = Interest(rawValue: EPOLLIN.rawValue)
    package static let write = Interest(rawValue: EPOLLOUT.rawValue)
    package static let peerClosed = Interest(rawValue: EPOLLRDHUP.rawValue)
    /// Told once per change, not while it lasts.
    package static let edge = Interest(rawValue: EPOLLET.rawValue)
    /// Only one of several processes that watch the same socket is woken.
    package static let exclusive = Interest(rawValue: EPOLLEXCLUSIVE.rawValue)
}

/// What became of a watched descriptor.
package struct Readiness {
    package let descriptor: Int32
    /// As given at registration. Closed descriptor numbers return at once, so an event of a turn may be about
    /// the number's former owner: the generation tells.
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
    /// Kept for life, and doubled when a wait has filled it: a turn of the loop allocates nothing.
    private var events: [epoll_event]
    private var came = 0

    package init() throws(SystemError) {
        let number = try SystemCalls.check(
            epoll_create1(Int32(EPOLL_CLOEXEC)),
            "create",
            on: "an epoll instance"
        )
        descriptor = OwnedDescriptor(number)
        unsafe events = [epoll_event](repeating: epoll_event(), count: 512)
    }

    package func add(_ number: Int32, generation: UInt32 = 0, _ interest: Interest)
        throws(SystemError)
    {
        try control(EPOLL_CTL_ADD, number, generation, interest)
    }

    package func change(_ number: Int32, generation: UInt32 = 0, _ interest: Interest)
        throws(SystemError)
    {
        try control(EPOLL_CTL_MOD, number, generation, interest)
    }

    package func remove(_ number: Int32) {
        _ = epoll_ctl(descriptor.number, EPOLL_CTL_DEL, number, nil)
    }

    /// Waits at most so long (negative: for ever), and returns how many events came; `event` has them.
    package func wait(milliseconds: Int32) throws(SystemError) -> Int {
        if unsafe came == events.count {
            unsafe events += [epoll_event](repeating: epoll_event(), count: events.count)
        }
        let count = unsafe epoll_wait(descriptor.number, &events, Int32(events.count), milliseconds)
        if count < 0, errno != EINTR {
            throw SystemError("wait for", on: "descriptors", code: errno)
        }
        came = max(0, Int(count))
        return came
    }

    /// One of the events of the last wait.
    package func event(_ index: Int) -> Readiness {
        precondition(index < came, "there were fewer events")
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
        _ interest: Interest
    ) throws(SystemError) {
        var event = unsafe epoll_event()
        unsafe event.events = interest.rawValue
        unsafe event.data.u64 = UInt64(generation) << 32 | UInt64(UInt32(bitPattern: number))
        let outcome = unsafe epoll_ctl(descriptor.number, operation, number, &event)
        try SystemCalls.check(outcome, "watch", on: "descriptor \(number)")
    }
}
