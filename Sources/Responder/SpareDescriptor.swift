internal import CLinux
internal import Glibc

/// A descriptor that is closed when no other is left, so that a connection can be accepted and closed: the listening
/// socket would otherwise stay readable, and the loop would spin.
struct SpareDescriptor: ~Copyable {
    private var number: Int32

    init() { number = Self.make() }

    deinit { if number >= 0 { close(number) } }

    private static func make() -> Int32 { unsafe open("/dev/null", O_RDONLY | O_CLOEXEC) }

    /// Accepts one connection and closes it.
    ///
    /// - Returns: false if there is no spare descriptor.
    mutating func turnAway(from listener: Int32) -> Bool {
        guard number >= 0 else { return false }
        close(number)
        let descriptor = accept4(listener, nil, nil, Int32(SOCK_CLOEXEC.rawValue))
        if descriptor >= 0 { close(descriptor) }
        number = Self.make()
        return true
    }

    /// Opens it again, if it is missing.
    mutating func restore() { if number < 0 { number = Self.make() } }
}
