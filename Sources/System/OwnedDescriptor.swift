internal import CLinux
internal import Glibc

/// A file descriptor with one owner, closed when the owner is done with it.
package struct OwnedDescriptor: ~Copyable {
    package let number: Int32

    /// Takes ownership of an open descriptor.
    package init(_ number: Int32) {
        precondition(number >= 0, "a descriptor is not negative")
        self.number = number
    }

    /// A file in memory with these bytes, positioned at its beginning; it exists as long as a descriptor for it.
    package static func inMemory(
        _ name: String,
        _ bytes: some Collection<UInt8> = []
    ) throws(SystemError) -> OwnedDescriptor {
        let file = OwnedDescriptor(
            try SystemCalls.check(
                unsafe memfd_create(name, 1 /* MFD_CLOEXEC */),
                "make",
                on: "a file in memory"
            )
        )
        guard SystemCalls.writeAll(file.number, bytes) else {
            throw SystemError("write", on: "a file in memory", code: errno)
        }
        lseek(file.number, 0, SEEK_SET)
        return file
    }

    deinit { close(number) }

    /// Transfers the descriptor to a new owner, which must close it.
    package consuming func handOver() -> Int32 {
        let number = number
        discard self
        return number
    }
}
