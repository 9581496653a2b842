internal import Glibc

/// What systemd is to a service, for tests without one: it listens in the service's place, passes the sockets on, and
/// reads what the service tells it.
package final class ServiceManager {
    /// A shell that becomes the service: only then is its process id known.
    static let prelude = #"export LISTEN_PID=$$ WATCHDOG_PID=$$; exec "$0" "$@""#

    /// Where it is told: a path, or '@' and a name without a file.
    package let notifySocket: String
    private let inbox: Int32
    private let watchdogMicroseconds: Int?
    private var sockets: [(name: String, descriptor: Int32)] = []

    /// - Parameter watchdogMicroseconds: how long it does without a sign of life; nil: it expects none.
    package init(notifySocket: String, watchdogMicroseconds: Int? = nil) throws {
        self.notifySocket = notifySocket
        self.watchdogMicroseconds = watchdogMicroseconds
        inbox = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard inbox >= 0 else { throw HarnessError.system("socket") }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let isAbstract = notifySocket.hasPrefix("@")
        let bytes = (isAbstract ? [0] : []) + Array(notifySocket.utf8.dropFirst(isAbstract ? 1 : 0))
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count + (isAbstract ? 0 : 1))
        let bound = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(inbox, $0, length) }
        }
        guard bound == 0 else { throw HarnessError.system("bind \(notifySocket)") }
    }

    deinit {
        close(inbox)
        for socket in sockets { close(socket.descriptor) }
    }

    // MARK: Sockets

    /// Passes a socket under this name.
    ///
    /// - Parameter isDatagram: one that cannot be listened on.
    package func pass(
        _ name: String,
        _ address: Address,
        isDatagram: Bool = false,
        isListening: Bool = true,
        mode: UInt32 = 0o660
    ) throws {
        let family = if case .unix = address { AF_UNIX } else { AF_INET }
        let kind = isDatagram ? SOCK_DGRAM : SOCK_STREAM
        let number = socket(family, Int32(kind.rawValue | SOCK_CLOEXEC.rawValue), 0)
        sockets.append((name, number))
        guard address.withSocketAddress({ bind(number, $0, $1) }) == 0 else {
            throw HarnessError.system("bind \(address)")
        }
        if case .unix(let path) = address {
            chmod(path, mode)
            if let group = getgrnam("www-data"), Place.isRoot {
                chown(path, uid_t.max, group.pointee.gr_gid)
            }
        }
        guard !isListening || listen(number, 128) == 0 else { throw HarnessError.system("listen") }
    }

    /// Passes the socket that another manager passes under this name, as systemd does to several services.
    package func pass(_ name: String, of other: ServiceManager) throws {
        guard let socket = other.sockets.first(where: { $0.name == name }) else {
            throw HarnessError("there is no socket \(name)")
        }
        sockets.append((name, fcntl(socket.descriptor, F_DUPFD_CLOEXEC, 64)))
    }

    /// Passes a TCP socket that other machines can reach, with a port that the system chooses.
    package func passOpen(_ name: String) throws {
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        sockets.append((name, number))
        guard listen(number, 1) == 0 else { throw HarnessError.system("listen") }
    }

    /// For the service's process.
    var environment: [String: String] {
        var variables = ["NOTIFY_SOCKET": notifySocket]
        if let watchdogMicroseconds { variables["WATCHDOG_USEC"] = "\(watchdogMicroseconds)" }
        if !sockets.isEmpty {
            variables["LISTEN_FDS"] = "\(sockets.count)"
            variables["LISTEN_FDNAMES"] = sockets.map(\.name).joined(separator: ":")
        }
        return variables
    }

    var descriptors: [Int32: Int32] {
        var passed: [Int32: Int32] = [:]
        for (index, socket) in sockets.enumerated() { passed[Int32(3 + index)] = socket.descriptor }
        return passed
    }

    // MARK: What it is told

    /// The lines of the next datagram, as `READY=1`.
    package func next(seconds: Double = Deadline.patienceSeconds) throws -> [String] {
        try waitFor("the service says something", seconds: seconds) { nextNow() }
    }

    /// The next datagram, if there is one.
    package func nextNow() -> [String]? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(inbox, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        guard count >= 0 else { return nil }
        return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
            .map(String.init)
    }

    /// Until it is told a line that begins so; returns its datagram.
    @discardableResult
    package func hear(_ line: String) throws -> [String] {
        var all: [[String]] = []
        return try waitFor("the service says \(line)") {
            while let lines = nextNow() {
                all.append(lines)
                if lines.contains(where: { $0.hasPrefix(line) }) { return lines }
            }
            return nil
        }
    }
}
