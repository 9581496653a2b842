internal import CLinux
internal import Configuration
internal import Glibc
internal import System
internal import Text

/// Handing a listening socket over to another process, with the lock beside its path.
extension Listener {
    /// Where it listens, and which descriptors go along: the socket, and the lock's if there is one.
    struct Handed: Packable {
        let isPassed: Bool
        let hasLock: Bool
        let path: String?
        let device: UInt64
        let inode: UInt64

        func pack(into pack: inout Packer) {
            pack.add(isPassed)
            pack.add(hasLock)
            pack.add(path)
            pack.add(device)
            pack.add(inode)
        }
    }

    var handed: (value: Handed, descriptors: [Int32]) {
        let place = place
        let lock = lockDescriptor
        let value = Handed(
            isPassed: isPassed,
            hasLock: lock != nil,
            path: place?.text,
            device: place?.device ?? 0,
            inode: place?.inode ?? 0
        )
        return (value, [descriptor] + (lock.map { [$0] } ?? []))
    }

    /// The address at which it listens, as in the ini file; nil if it has no form there.
    var address: FastCGISettings.Listen? { isOpen ? Self.address(of: descriptor) : nil }
}

extension Listener.Handed {
    init(from pack: inout Unpacker) throws(UnpackError) {
        isPassed = try pack.value()
        hasLock = try pack.value()
        path = try pack.value()
        device = try pack.value()
        inode = try pack.value()
    }
}
