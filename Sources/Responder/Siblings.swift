internal import CLinux
internal import Channels
internal import Core
internal import Glibc
internal import Liveness
internal import System

/// The other processes of the bus: each has a datagram socket in the directory `processes` of the bus directory, named
/// by its process number and chance.
///
/// What goes this way may be lost without harm: questions that nobody answers are answered without them. It is heard of
/// root and of our own user alone, whoever may write to the directory: with a word on a subscriber others could end what he
/// asks. Reactor thread only.
final class Siblings {
    let descriptor: Int32
    private let directory: OwnedDescriptor
    private let name: String
    /// Who was there when the directory was last looked at, and who was heard of since.
    private var known: Set<String> = []
    private var outbox: [String: [SubscriberWord]] = [:]
    /// The largest datagram that is taken.
    static let datagramBytes = 65_536

    init(_ settings: BusSettings) throws(SystemError) {
        let path = settings.directory + "/processes"
        if unsafe mkdir(path, 0o770) == 0 {
            // The umask may have taken the group's part; the group itself comes from the bus directory.
            _ = unsafe chmod(path, 0o2770)
        }
        let opened = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        directory = OwnedDescriptor(try SystemCalls.check(opened, "open", on: path))
        name = "\(getpid())-" + String(UInt32.random(in: .min ... .max), radix: 16)
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        descriptor = try SystemCalls.check(socket(AF_UNIX, type, 0), "make a socket in", on: path)
        // Before anybody can send.
        guard clinux_pass_credentials(descriptor) == 0 else {
            let code = errno
            close(descriptor)
            throw SystemError("learn who sends to a socket in", on: path, code: code)
        }
        var address = Self.address(directory.number, name)
        let bound = unsafe Self.withBytes(of: &address) { unsafe bind(descriptor, $0, $1) }
        let code = errno
        guard bound == 0 else {
            close(descriptor)
            throw SystemError("make a socket in", on: path, code: code)
        }
        unsafe fchmodat(directory.number, name, 0o660, 0)
    }

    deinit {
        close(descriptor)
        unsafe unlinkat(directory.number, name, 0)
    }

    /// Sends to each of the others; returns their names. The sockets of dead ones are removed.
    func tell(_ bytes: [UInt8]) -> Set<String> {
        known = Set(names()).subtracting([name])
        return known.filter { send(bytes, to: $0) }
    }

    /// The same without a look at the directory, for what is said often and may be lost.
    func tellKnown(_ bytes: [UInt8]) {
        for name in known where !send(bytes, to: name) { known.remove(name) }
    }

    func heard(from name: String) { known.insert(name) }

    var hasOthers: Bool { !known.isEmpty }

    /// Says something about a subscriber to all the others at the end of the turn; what their queues do not take is kept
    /// and said later.
    func post(_ word: SubscriberWord) {
        for name in known where (outbox[name]?.count ?? 0) < 60_000 {
            outbox[name, default: []].append(word)
        }
    }

    var hasPosts: Bool { !outbox.isEmpty }

    func flush() {
        for (name, words) in outbox {
            var rest = words[...]
            while !rest.isEmpty {
                let piece = rest.prefix(1000)
                let outcome = trySend(SiblingMessage.words(Array(piece)).bytes, to: name)
                if outcome == .full { break }
                rest = outcome == .gone ? [] : rest.dropFirst(piece.count)
            }
            outbox[name] = rest.isEmpty ? nil : Array(rest)
        }
    }

    /// Whether it is there. One whose queue is full has not ended, but is stopped perhaps: it is asked, and missed.
    private func send(_ bytes: [UInt8], to name: String) -> Bool {
        trySend(bytes, to: name) != .gone
    }

    private enum Sent { case sent, full, gone }

    private func trySend(_ bytes: [UInt8], to name: String) -> Sent {
        var address = Self.address(directory.number, name)
        let sent = unsafe Self.withBytes(of: &address) { address, length in
            unsafe sendto(descriptor, bytes, bytes.count, Self.flags, address, length)
        }
        if sent == bytes.count { return .sent }
        if errno == EAGAIN { return .full }
        if errno == ECONNREFUSED { unsafe unlinkat(directory.number, name, 0) }
        return .gone
    }

    static func processNumber(of name: String) -> Substring { name.prefix { $0 != "-" } }

    /// What was received.
    enum Received {
        /// With a name to answer to.
        case message(SiblingMessage, sender: String)
        /// Not from one of us.
        case foreign(user: UInt32)
        /// Not what one of us says.
        case malformed
    }

    /// The next datagram, or nil.
    func next() -> Received? {
        var address = sockaddr_un()
        var user: UInt32 = 0
        var bytes = [UInt8](repeating: 0, count: Self.datagramBytes)
        let count = unsafe clinux_receive(descriptor, &bytes, bytes.count, &address, &user)
        guard count >= 0 else { return nil }
        guard user == 0 || user == geteuid() else { return .foreign(user: user) }
        guard count <= bytes.count else { return .malformed }
        bytes.removeLast(bytes.count - count)
        let path = unsafe withUnsafeBytes(of: &address.sun_path) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        // As the sender knows the directory; the last part is the same for all.
        guard let sender = path.split(separator: "/").last.map(String.init), Self.isName(sender),
            let message = SiblingMessage(bytes)
        else { return .malformed }
        return .message(message, sender: sender)
    }

    /// Whether one of us may be called so: a process number and a random one.
    private static func isName(_ name: String) -> Bool {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        return parts.count == 2 && Int32(parts[0]) ?? 0 > 0 && UInt32(parts[1], radix: 16) != nil
    }

    func answer(_ bytes: [UInt8], to name: String) {
        var address = Self.address(directory.number, name)
        _ = unsafe Self.withBytes(of: &address) { address, length in
            unsafe sendto(descriptor, bytes, bytes.count, Self.flags, address, length)
        }
    }

    private static let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)

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

    /// By way of the descriptor, since the directory's own path may be longer than a socket's may be.
    private static func address(_ directory: Int32, _ name: String) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array("/proc/self/fd/\(directory)/\(name)".utf8.prefix(107))
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        return address
    }

    private static func withBytes<Result>(
        of address: inout sockaddr_un,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
