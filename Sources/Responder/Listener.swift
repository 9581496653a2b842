internal import Bus
internal import CLinux
package import Channels
package import Configuration
internal import Glibc
internal import System

/// A socket on which others connect: web servers, or the clients of the bus.
///
/// A lock file beside the web servers' Unix path guards it and is held for the process's life: a second copy reports
/// this instead of stealing the path, and a socket that a killed process left is replaced. The `ServingLock` guards the
/// bus socket. A socket that a service manager passed belongs to the manager (`Listener+Passed`).
package final class Listener {
    private var socket: OwnedDescriptor?
    private let lock: OwnedDescriptor?
    /// The path to remove when the process ends, with the inode that is ours.
    private var path: (text: String, device: UInt64, inode: UInt64)?

    /// A service manager made it and keeps it when this process ends; peers then wait in its backlog.
    let isPassed: Bool

    package var isOpen: Bool { descriptor >= 0 }

    /// -1 once closed.
    package var descriptor: Int32 {
        switch socket {
        case .some(let socket): socket.number
        case .none: -1
        }
    }

    /// Closed: nothing can connect.
    package init() {
        socket = nil
        lock = nil
        path = nil
        isPassed = false
    }

    /// - Parameter path: the path to remove when the process ends, with its inode.
    init(
        socket: consuming OwnedDescriptor,
        lock: consuming OwnedDescriptor?,
        path: (text: String, device: UInt64, inode: UInt64)?,
        isPassed: Bool
    ) {
        self.socket = consume socket
        self.lock = consume lock
        self.path = path
        self.isPassed = isPassed
    }

    var place: (text: String, device: UInt64, inode: UInt64)? { path }

    var lockDescriptor: Int32? {
        switch lock {
        case .some(let lock): lock.number
        case .none: nil
        }
    }

    /// Another process has the socket now: its path stays.
    func letGo() {
        path = nil
        close()
    }

    /// Refuses further connections. A socket shared with other processes continues to serve there.
    package func close() { socket = nil }

    package init(_ settings: FastCGISettings) throws(ListenerError) {
        isPassed = false
        switch settings.listen {
        case .inherited:
            socket = try Self.inherited()
            lock = nil
            path = nil
        case .tcp(let address, let port):
            socket = try Self.tcp(address, port)
            lock = nil
            path = nil
        case .unix(let text):
            let held = try Self.lock(text)
            socket = try Self.unix(UnixPlace(text, settings))
            lock = consume held
            path = Self.identity(text)
        }
    }

    /// The bus socket at this path.
    package init(busSocket text: String, _ settings: BusSettings) throws(ListenerError) {
        socket = try Self.unix(UnixPlace(text, settings))
        lock = nil
        path = Self.identity(text)
        isPassed = false
    }

    private static func identity(
        _ path: String
    ) -> (text: String, device: UInt64, inode: UInt64)? {
        var info = stat()
        guard unsafe lstat(path, &info) == 0 else { return nil }
        return (path, UInt64(info.st_dev), UInt64(info.st_ino))
    }

    static let key = "listen in [fastcgi]"
    static let busKey = "socket in [bus]"

    /// Removes the path, unless another process has replaced it.
    package func removePath() {
        if let path, isInPlace { unsafe unlink(path.text) }
    }

    /// Whether the path still leads to this socket. The manager looks after a passed one.
    package var isInPlace: Bool {
        if isPassed { return true }
        guard let path, let found = Self.identity(path.text) else { return false }
        return found == path
    }

    /// Whether nobody can connect by the path any more: it is gone, or leads elsewhere. What cannot be looked at may still
    /// be there.
    package var isLost: Bool {
        guard let path, !isPassed else { return false }
        guard let found = Self.identity(path.text) else {
            return errno == ENOENT || errno == ENOTDIR
        }
        return found != path
    }

    private static let backlog: Int32 = 4096

    private static func inherited() throws(ListenerError) -> OwnedDescriptor {
        var listening: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard unsafe getsockopt(0, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0,
            listening != 0
        else {
            throw .sentence(
                "descriptor 0 is not a listening socket; "
                    + "listen = inherited is for spawn-fcgi and lighttpd's bin-path"
            )
        }
        if let place = address(of: 0) { try requireLoopback(place, "descriptor 0") }
        let copy = fcntl(0, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else {
            throw .system(SystemError("take over", on: "descriptor 0", code: errno))
        }
        // /dev/null replaces it, so that nothing else becomes descriptor 0.
        let null = unsafe open("/dev/null", O_RDWR | O_CLOEXEC)
        dup2(null, 0)
        Glibc.close(null)
        sendAtOnce(copy)
        try makeNonBlocking(copy)
        return OwnedDescriptor(copy)
    }

    /// Over TCP, successive answers on a connection do not wait for acknowledgements; accepted sockets inherit this. It
    /// has no effect on a Unix socket.
    static func sendAtOnce(_ descriptor: Int32) {
        var yes: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, size)
    }

    static func makeNonBlocking(_ descriptor: Int32) throws(ListenerError) {
        let flags = fcntl(descriptor, F_GETFL)
        guard fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) >= 0 else {
            throw .system(SystemError("prepare", on: "the listening socket", code: errno))
        }
    }

    private static func newSocket(_ family: Int32, for name: String) throws(ListenerError)
        -> OwnedDescriptor
    {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let number = Glibc.socket(family, type, 0)
        guard number >= 0 else {
            throw .system(SystemError("make a socket for", on: name, code: errno))
        }
        return OwnedDescriptor(number)
    }

    private static func tcp(_ address: String, _ port: UInt16) throws(ListenerError)
        -> OwnedDescriptor
    {
        let isIPv6 = address.contains(":")
        guard let place = InternetAddress(address, port) else {
            throw .sentence("\(address) is not an IPv\(isIPv6 ? 6 : 4) address")
        }
        let name = isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)"
        let descriptor = try newSocket(place.family, for: name)
        var yes: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        unsafe setsockopt(descriptor.number, SOL_SOCKET, SO_REUSEADDR, &yes, size)
        sendAtOnce(descriptor.number)
        let bound = place.bind(descriptor.number)
        let code = errno
        guard bound == 0, listen(descriptor.number, backlog) == 0 else {
            throw .cannotListen(name, code: bound == 0 ? errno : code, key: key)
        }
        return descriptor
    }

    private static func lock(_ path: String) throws(ListenerError) -> OwnedDescriptor {
        let name = path + ".lock"
        let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW
        var number = unsafe open(name, flags | O_EXCL, 0o600)
        if number >= 0 {
            lendToDirectorysOwner(number, name)
        } else {
            number = unsafe open(name, flags, 0o600)
        }
        guard number >= 0 else {
            let code = errno
            if code == EACCES, unsafe access(name, F_OK) == 0 { throw .inTheWay(name, of: path) }
            throw .cannotListen(path, code: code, key: key)
        }
        let descriptor = OwnedDescriptor(number)
        guard flock(number, LOCK_EX | LOCK_NB) == 0 else {
            throw .cannotListen(path, code: EADDRINUSE, key: key)
        }
        return descriptor
    }

    /// Whether a socket listens at this path, by the kernel's list: another user's socket cannot be asked.
    private static func mayBeBound(_ path: String) -> Bool {
        let sockets = SmallFile.text(of: "/proc/net/unix")
        guard !sockets.isEmpty, let ours = identity(path) else { return true }
        return sockets.split(separator: "\n").contains { line in
            guard let start = line.firstIndex(of: "/"), let found = identity(String(line[start...]))
            else { return false }
            return found.device == ours.device && found.inode == ours.inode
        }
    }

    /// Files that root leaves after a trial must not lock out the service's own user.
    private static func lendToDirectorysOwner(_ file: Int32, _ path: String) {
        guard geteuid() == 0 else { return }
        let parent = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
        var info = stat()
        guard unsafe stat("\(parent)/", &info) == 0 else { return }
        _ = fchown(file, info.st_uid, info.st_gid)
    }

    private static func unix(_ place: UnixPlace) throws(ListenerError) -> OwnedDescriptor {
        let path = place.path
        guard let address = UnixAddress(path) else {
            throw .sentence("\(path): a socket's path has at most \(UnixAddress.pathBytes) bytes")
        }
        var info = stat()
        if unsafe lstat(path, &info) == 0 {
            guard info.st_mode & S_IFMT == S_IFSOCK else {
                throw .sentence(
                    "cannot listen on \(path): something that is not a socket is there; move it away"
                )
            }
            // Another program, which does not hold our lock, may listen there.
            let probe = try newSocket(AF_UNIX, for: path)
            let answer = address.connect(probe.number)
            let code = errno
            let mayBeAlive = code == EACCES && mayBeBound(path)
            if answer != 0, mayBeAlive { throw .inTheWay(path, of: path) }
            guard answer != 0, code == ECONNREFUSED || code == ENOENT || code == EACCES else {
                throw .cannotListen(path, code: EADDRINUSE, key: place.key)
            }
            guard unsafe unlink(path) == 0 || errno == ENOENT else {
                throw .inTheWay(path, of: path)
            }
        }
        let descriptor = try newSocket(AF_UNIX, for: path)
        // No process may connect between bind and chmod. Linux gives the path the mode of the socket; the umask belongs
        // to all threads, of which another one may be making a file.
        _ = fchmod(descriptor.number, 0o600)
        let bound = address.bind(descriptor.number)
        let code = errno
        guard bound == 0 else { throw .cannotListen(path, code: code, key: place.key) }
        try place.admit()
        guard listen(descriptor.number, backlog) == 0 else {
            throw .cannotListen(path, code: errno, key: place.key)
        }
        return descriptor
    }
}
