internal import CLinux
internal import Glibc

/// A file descriptor with one owner, closed when the owner lets go of it.
package struct OwnedDescriptor: ~Copyable {
    package let number: Int32

    /// Takes over an open descriptor.
    package init(_ number: Int32) {
        precondition(number >= 0, "a descriptor is not negative")
        self.number = number
    }

    deinit { close(number) }

    /// Gives the descriptor to somebody else, who must close it.
    package consuming func handOver() -> Int32 {
        let number = number
        discard self
        return number
    }
}
