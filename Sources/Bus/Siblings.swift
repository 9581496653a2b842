package import Channels
internal import Glibc
package import System

/// The other processes of the bus: each has a datagram socket in the directory `processes` of the bus directory, named
/// by its process number and a random one.
///
/// Messages may be lost without harm: a question is answered without the processes that do not reply. Only those of root
/// and of our own user count, whoever may write to the directory: a message about a subscriber ends its requests. For
/// one thread.
package final class Siblings {
    private let socket: OwnedDescriptor
    private let directory: OwnedDescriptor
    private let name: String
    /// Where the others look for this process.
    package let path: String
    /// The processes that were there when the directory was last read, and those that have sent something since.
    package private(set) var known: Set<String> = []
    /// The largest datagram that is taken.
    package static let datagramBytes = 65_536

    package init(_ settings: BusSettings) throws(SystemError) {
        let place = settings.directory + "/processes"
        if unsafe mkdir(place, 0o770) == 0 {
            // The umask may have taken the group's part; the group itself comes from the bus directory.
            _ = unsafe chmod(place, 0o2770)
        }
        let opened = unsafe open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        directory = OwnedDescriptor(try SystemCalls.check(opened, "open", on: place))
        name = "\(getpid())-" + String(UInt32.random(in: .min ... .max), radix: 16)
        path = "\(place)/\(name)"
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let made = Glibc.socket(AF_UNIX, type, 0)
        socket = OwnedDescriptor(try SystemCalls.check(made, "make a socket in", on: place))
        // Before any process can send.
        guard UnixDatagram.nameSenders(of: made) else {
            throw SystemError("learn who sends to a socket in", on: place, code: errno)
        }
        guard let address = Self.address(directory.number, name) else {
            throw SystemError("make a socket in", on: place, code: ENAMETOOLONG)
        }
        try SystemCalls.check(address.bind(made), "make a socket in", on: place)
        unsafe fchmodat(directory.number, name, 0o660, 0)
    }

    deinit { unsafe unlinkat(directory.number, name, 0) }

    package var descriptor: Int32 { socket.number }

    /// Whether the others still find this process. Its name belongs to no other one.
    package var isInPlace: Bool { unsafe access(path, F_OK) == 0 || errno == EACCES }

    // MARK: Sending

    package enum Sent { case sent, full, gone }

    /// Sends to each of the others; returns their names. The sockets of dead ones are removed.
    ///
    /// One whose queue is full has not ended, but may be stopped: it is asked, and counts as missing.
    package func tell(_ bytes: [UInt8]) -> Set<String> {
        known = Set(names()).subtracting([name])
        return known.filter { send(bytes, to: $0) != .gone }
    }

    /// The same without reading the directory, for frequent messages that may be lost.
    package func tellKnown(_ bytes: [UInt8]) {
        for name in known where send(bytes, to: name) == .gone { known.remove(name) }
    }

    @discardableResult
    package func send(_ bytes: [UInt8], to name: String) -> Sent {
        guard let address = Self.address(directory.number, name) else { return .gone }
        if address.send(bytes, from: socket.number) == bytes.count { return .sent }
        if errno == EAGAIN { return .full }
        if errno == ECONNREFUSED { unsafe unlinkat(directory.number, name, 0) }
        return .gone
    }

    // MARK: Receiving

    /// What was received.
    package enum Received {
        /// With the name to answer to.
        case message([UInt8], sender: String)
        /// Not from a process of this bus.
        case foreign(user: UInt32)
        /// Not a message of this bus.
        case malformed
    }

    /// The next datagram, or nil.
    package func next() -> Received? {
        guard
            let datagram = UnixDatagram.receive(from: socket.number, atMost: Self.datagramBytes)
        else { return nil }
        guard datagram.user == 0 || datagram.user == geteuid() else {
            return .foreign(user: datagram.user)
        }
        // By the directory's path as the sender has it; the last part is the same for all.
        guard !datagram.isCut,
            let sender = datagram.path.split(separator: "/").last.map(String.init),
            Self.isName(sender)
        else { return .malformed }
        return .message(datagram.bytes, sender: sender)
    }

    package func heard(from name: String) { known.insert(name) }

    // MARK: Names

    package static func processNumber(of name: String) -> Substring { name.prefix { $0 != "-" } }

    /// Whether a process of this bus may have this name: a process number and a random one.
    private static func isName(_ name: String) -> Bool {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        return parts.count == 2 && Int32(parts[0]) ?? 0 > 0 && UInt32(parts[1], radix: 16) != nil
    }

    private func names() -> [String] {
        let copy = unsafe open(
            "/proc/self/fd/\(directory.number)",
            O_RDONLY | O_DIRECTORY | O_CLOEXEC
        )
        guard copy >= 0, let listing = unsafe fdopendir(copy) else { return [] }
        defer { unsafe closedir(listing) }
        var names: [String] = []
        while let entry = unsafe readdir(listing) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.utf8.first != UInt8(ascii: ".") { names.append(name) }
        }
        return names
    }

    /// By the descriptor, since the directory's own path may be longer than a socket's may be.
    private static func address(_ directory: Int32, _ name: String) -> UnixAddress? {
        UnixAddress("/proc/self/fd/\(directory)/\(name)")
    }
}
