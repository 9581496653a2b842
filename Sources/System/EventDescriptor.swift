internal import CLinux
internal import Glibc

/// An eventfd, by which other threads wake one that watches descriptors.
@usableFromInline
final class EventDescriptor: Sendable {
    let number: Int32

    @usableFromInline
    init() throws(SystemError) {
        number = try SystemCalls.check(
            eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)),
            "create",
            on: "an eventfd"
        )
    }

    deinit { close(number) }

    @usableFromInline
    func ring() {
        var one: UInt64 = 1
        _ = unsafe write(number, &one, 8)
    }

    /// Resets it: until the next ring there is nothing to read.
    @usableFromInline
    func silence() {
        var count: UInt64 = 0
        _ = unsafe read(number, &count, 8)
    }
}
