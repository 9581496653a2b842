internal import CLinux
internal import Channels
internal import Configuration
internal import Glibc
internal import System
internal import Text

/// Handing a listening socket over to another process, with the lock beside its path.
extension Listener {
    /// Where it listens, and the descriptors that go with it: the socket, and the lock's if there is one.
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

    /// A socket that another process hands over.
    convenience init(
        _ handed: Handed,
        socket: consuming OwnedDescriptor,
        lock: consuming OwnedDescriptor?
    ) {
        self.init(
            socket: socket,
            lock: lock,
            path: handed.path.map { ($0, handed.device, handed.inode) },
            isPassed: handed.isPassed
        )
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

    /// Another process made the socket, perhaps with another ini file: applies the mode and group of this one.
    func agree(with settings: FastCGISettings) throws(ListenerError) {
        try agree { UnixPlace($0, settings) }
    }

    func agree(with settings: BusSettings) throws(ListenerError) {
        try agree { UnixPlace($0, settings) }
    }

    /// A path that is no longer this socket's, and a socket of the service manager, stay as they are.
    private func agree(_ wanted: (String) -> UnixPlace) throws(ListenerError) {
        guard let path = place?.text, isInPlace else { return }
        try wanted(path).admit()
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
