internal import CLinux
internal import Glibc

/// A failed system call: its name, its object, and errno.
package struct SystemError: Error, CustomStringConvertible {
    package let call: String
    package let object: String
    package let code: Int32

    package init(_ call: String, on object: String, code: Int32) {
        self.call = call
        self.object = object
        self.code = code
    }

    /// For example `cannot bind /run/x.sock: Address already in use`.
    package var description: String {
        "cannot \(call) \(object): \(SystemError.sentence(of: code))"
    }

    package static func sentence(of code: Int32) -> String {
        unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    }
}

/// The outcome of a read or write that does not block.
package enum Transfer: Equatable {
    case bytes(Int)
    case wouldBlock
    /// The peer closed its sending side (reading), or is gone (writing).
    case ended
}

/// The system calls: EINTR is retried, *would block* and *end of stream* are values, EBADF is a bug of Holdfast, and
/// any other error is thrown.
package enum SystemCalls {
    /// Repeats a call until it is not interrupted.
    package static func retrying(_ call: () -> Int) -> Int {
        while true {
            let outcome = call()
            if outcome < 0, errno == EINTR { continue }
            precondition(outcome >= 0 || errno != EBADF, "a closed descriptor was used")
            return outcome
        }
    }

    /// Throws errno with the call's name and object if `outcome` is negative.
    @discardableResult
    package static func check(_ outcome: Int32, _ call: String, on object: String)
        throws(SystemError) -> Int32
    {
        let code = errno
        guard outcome >= 0 else { throw SystemError(call, on: object, code: code) }
        return outcome
    }

    /// Receives available bytes without blocking. A reset counts as the end.
    package static func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer)
        -> Transfer
    {
        let count = retrying {
            unsafe recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
        }
        if count > 0 { return .bytes(count) }
        if count == 0 { return .ended }
        return errno == EAGAIN || errno == EWOULDBLOCK ? .wouldBlock : .ended
    }

    /// Whether the peer has closed both directions, as far as the kernel knows without a write.
    package static func isGone(_ descriptor: Int32) -> Bool {
        var look = pollfd(fd: descriptor, events: 0, revents: 0)
        _ = unsafe poll(&look, 1, 0)
        return look.revents & Int16(POLLHUP | POLLERR) != 0
    }

    /// Whether there is input, or the end of it.
    package static func hasInput(_ descriptor: Int32) -> Bool {
        var look = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&look, 1, 0) > 0
    }

    /// Whether the peer has closed its sending side, or the whole connection.
    package static func hasEnded(_ descriptor: Int32) -> Bool {
        let readEnd: Int16 = 0x2000  // POLLRDHUP, which Glibc hides
        var look = pollfd(fd: descriptor, events: readEnd, revents: 0)
        _ = unsafe poll(&look, 1, 0)
        return look.revents & (Int16(POLLHUP | POLLERR) | readEnd) != 0
    }

    /// The user and all groups of the peer of a Unix stream socket. Nil if the kernel does not give them.
    package static func credentials(of descriptor: Int32) -> (user: UInt32, groups: [UInt32])? {
        var peer = clinux_peer()
        guard unsafe clinux_peer_of(descriptor, &peer) == 0 else { return nil }
        var groups = [gid_t](repeating: 0, count: 65_536)
        let count = unsafe clinux_peer_groups(descriptor, &groups, Int32(groups.count))
        return (peer.user, [peer.group] + groups.prefix(max(0, Int(count))))
    }

    /// Writes all bytes, however long that takes, even if the descriptor was inherited in non-blocking mode; false,
    /// with errno set, on failure.
    package static func writeAll(_ descriptor: Int32, _ bytes: some Collection<UInt8>) -> Bool {
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, mayTryAgain(descriptor, POLLOUT) { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Reads available bytes, waiting for them if necessary; empty at the end, nil, with errno set, on failure.
    package static func readSome(_ descriptor: Int32, atMost limit: Int = 65_536) -> [UInt8]? {
        var failed = false
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            var got = unsafe read(descriptor, buffer.baseAddress, buffer.count)
            while got < 0, mayTryAgain(descriptor, POLLIN) {
                got = unsafe read(descriptor, buffer.baseAddress, buffer.count)
            }
            failed = got < 0
            count = max(0, got)
        }
        return failed ? nil : bytes
    }

    /// Whether the call that just failed was only interrupted, or would have blocked; in the latter case it waits
    /// first.
    private static func mayTryAgain(_ descriptor: Int32, _ event: Int32) -> Bool {
        switch errno {
        case EINTR: return true
        case EAGAIN:
            var look = pollfd(fd: descriptor, events: Int16(event), revents: 0)
            _ = unsafe poll(&look, 1, -1)
            return true
        default: return false
        }
    }

    /// Sends as much as possible, without blocking and without SIGPIPE.
    package static func send(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Transfer {
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        let count = retrying {
            unsafe Glibc.send(descriptor, bytes.baseAddress, bytes.count, flags)
        }
        if count >= 0 { return .bytes(count) }
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? .wouldBlock : .ended
    }
}
