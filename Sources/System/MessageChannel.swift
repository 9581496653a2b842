internal import CLinux
internal import Glibc

/// One end of a connection between two processes of this machine that carries messages with descriptors
/// (SOCK_SEQPACKET, SCM_RIGHTS).
package final class MessageChannel {
    /// The outcome of sending.
    package enum Sent { case sent, full, gone }

    package enum Received {
        /// The receiver owns the descriptors.
        case message([UInt8], descriptors: [Int32])
        case nothing
        case ended
    }

    private let socket: OwnedDescriptor
    /// The other process, and the user it runs as.
    package let process: Int32
    package let user: UInt32
    /// Readable once that process has ended; -1 if it had ended already.
    private let ending: Int32

    /// The errors of one that has ended.
    private static let endCodes = [ESRCH, EINVAL, ENODATA]

    /// The most descriptors in a message.
    package static let descriptorLimit = Int(clinux_descriptor_limit)
    /// The largest message.
    package static let messageBytes = 65_536

    /// - Parameters:
    ///   - number: a connected socket, which this owns from now on.
    ///   - child: the process at the other end of a pair, which the kernel does not know by itself.
    /// - Returns: nil, with errno set, if it cannot be told whether the other process has ended.
    package init?(_ number: Int32, child: Int32? = nil) {
        let descriptor = OwnedDescriptor(number)
        var peer = clinux_peer()
        guard unsafe clinux_peer_of(number, &peer) == 0, peer.process > 0 else { return nil }
        var found = child.map { clinux_open_process($0) } ?? clinux_open_peer(number)
        if found < 0, errno == ENOPROTOOPT { found = clinux_open_process(peer.process) }
        guard found >= 0 || Self.endCodes.contains(errno) else { return nil }
        socket = consume descriptor
        process = child ?? peer.process
        user = peer.user
        ending = found
        if found >= 0 { _ = fcntl(found, F_SETFD, FD_CLOEXEC) }
    }

    deinit { if ending >= 0 { close(ending) } }

    package var descriptor: Int32 { socket.number }

    /// Two connected ends.
    package static func pair() throws(SystemError) -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue)
        let outcome = unsafe socketpair(AF_UNIX, type, 0, &ends)
        try SystemCalls.check(outcome, "make", on: "a pair of sockets")
        return (ends[0], ends[1])
    }

    // MARK: The other process

    /// Whether the other process has ended, at most this much later.
    package func hasEnded(waitingMilliseconds: Int32 = 0) -> Bool {
        guard ending >= 0 else { return true }
        var look = pollfd(fd: ending, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&look, 1, waitingMilliseconds) > 0
    }

    /// Ends the other process at once.
    package func kill() { signal(SIGKILL) }

    package func signal(_ signal: Int32) {
        if ending >= 0 { _ = clinux_signal_process(ending, signal) }
    }

    // MARK: Messages

    /// Sends without blocking.
    package func send(_ bytes: [UInt8], descriptors: [Int32] = []) -> Sent {
        precondition(descriptors.count <= Self.descriptorLimit, "the kernel takes no more")
        let count = SystemCalls.retrying {
            unsafe clinux_send_message(
                socket.number,
                bytes,
                bytes.count,
                descriptors,
                Int32(descriptors.count)
            )
        }
        if count == bytes.count { return .sent }
        switch errno {
        // Too many descriptors are on their way: the other process has to take some first.
        case EAGAIN, ENOBUFS, ETOOMANYREFS: return .full
        default: return .gone
        }
    }

    /// The same, waiting for room.
    ///
    /// - Parameter end: monotonic milliseconds.
    package func send(_ bytes: [UInt8], descriptors: [Int32] = [], until end: Int64) -> Sent {
        while true {
            let sent = send(bytes, descriptors: descriptors)
            guard sent == .full else { return sent }
            let left = end - MonotonicClock.milliseconds()
            guard left > 0 else { return .full }
            var look = pollfd(fd: socket.number, events: Int16(POLLOUT), revents: 0)
            _ = unsafe poll(&look, 1, Int32(min(left, 10)))
            // There may be room for bytes, and none for descriptors.
            MonotonicClock.sleep(milliseconds: 1)
        }
    }

    /// The next message, without blocking. One that is cut, or comes without all of its descriptors, is the end.
    package func receive() -> Received {
        var bytes = [UInt8](repeating: 0, count: Self.messageBytes)
        var found = [Int32](repeating: -1, count: Self.descriptorLimit)
        var count: Int32 = 0
        func attempt() -> Int {
            SystemCalls.retrying {
                unsafe clinux_receive_message(socket.number, &bytes, bytes.count, &found, &count)
            }
        }
        var length = attempt()
        // The other process has ended without reading everything. What it sent before can still be read.
        if length < 0, errno == ECONNRESET { length = attempt() }
        let descriptors = Array(found.prefix(Int(count)))
        if length < 0, errno == EAGAIN { return .nothing }
        guard length > 0, length <= bytes.count else {
            for descriptor in descriptors { close(descriptor) }
            return .ended
        }
        return .message(Array(bytes.prefix(length)), descriptors: descriptors)
    }

    /// The same, waiting.
    package func receive(until end: Int64) -> Received {
        while true {
            let received = receive()
            guard case .nothing = received else { return received }
            let left = end - MonotonicClock.milliseconds()
            guard left > 0 else { return .nothing }
            var look = pollfd(fd: socket.number, events: Int16(POLLIN), revents: 0)
            _ = unsafe poll(&look, 1, Int32(clamping: left))
        }
    }
}

/// A socket in a directory on which processes of the same user connect, for messages with descriptors.
package final class MessageDoor {
    private let socket: OwnedDescriptor
    private let directory: OwnedDescriptor
    private let name: String
    private let inode: UInt64

    /// Replaces what has this name.
    package init(in directory: String, named name: String) throws(SystemError) {
        let path = directory + "/" + name
        let opened = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        self.directory = OwnedDescriptor(try SystemCalls.check(opened, "open", on: directory))
        self.name = name
        let type = Int32(
            SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        )
        let made = Glibc.socket(AF_UNIX, type, 0)
        socket = OwnedDescriptor(try SystemCalls.check(made, "make a socket for", on: path))
        guard let address = Self.address(opened, name) else {
            throw SystemError("make", on: path, code: ENAMETOOLONG)
        }
        unsafe unlinkat(opened, name, 0)
        // Nobody may connect before the mode is right. Linux gives the path the mode of the socket; the umask belongs to
        // all threads, of which another one may be making a file.
        _ = fchmod(made, 0o600)
        let bound = address.bind(made)
        let code = errno
        guard bound == 0 else { throw SystemError("bind", on: path, code: code) }
        var info = stat()
        guard unsafe fstatat(opened, name, &info, Int32(AT_SYMLINK_NOFOLLOW)) == 0 else {
            throw SystemError("look at", on: path, code: errno)
        }
        inode = UInt64(info.st_ino)
        try SystemCalls.check(listen(made, 8), "listen on", on: path)
    }

    package var descriptor: Int32 { socket.number }

    /// Whether the name still leads here.
    package var isInPlace: Bool {
        var info = stat()
        return unsafe fstatat(directory.number, name, &info, Int32(AT_SYMLINK_NOFOLLOW)) == 0
            && UInt64(info.st_ino) == inode
    }

    /// Removes the path, unless another process has replaced it.
    package func removePath() {
        if isInPlace { unsafe unlinkat(directory.number, name, 0) }
    }

    /// The next process that has connected; nil if there is none.
    package func accept() -> MessageChannel? {
        let number = accept4(
            socket.number,
            nil,
            nil,
            Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        )
        return number >= 0 ? MessageChannel(number) : nil
    }

    /// Connects; nil, with errno set, on failure.
    package static func connect(in directory: String, named name: String) -> MessageChannel? {
        let opened = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard opened >= 0 else { return nil }
        defer { close(opened) }
        guard let address = address(opened, name) else {
            errno = ENAMETOOLONG
            return nil
        }
        // Where too many wait to be accepted, it says so at once.
        let type = Int32(
            SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        )
        let made = Glibc.socket(AF_UNIX, type, 0)
        guard made >= 0 else { return nil }
        guard address.connect(made) == 0 else {
            let code = errno
            close(made)
            errno = code
            return nil
        }
        return MessageChannel(made)
    }

    /// By way of the descriptor, since the directory's own path may be longer than a socket's may be.
    private static func address(_ directory: Int32, _ name: String) -> UnixAddress? {
        UnixAddress("/proc/self/fd/\(directory)/\(name)")
    }
}
