import CLinux
package import Channels
import Glibc
import System

/// A named pipe of the bus, kept open for reading and writing by every process, so that its content outlives any of
/// them, and so that a writer that leaves does not end the stream.
///
/// Only the process that serves the bus reads. It copies the content without removing it (tee(2) into a pipe of its
/// own), and removes exactly what is finished: if it is killed in between, the next one finds the rest again. For one
/// thread.
@safe package final class NamedPipe {
    package let path: String
    /// -1 once closed.
    package private(set) var descriptor: Int32
    /// The number of bytes that certainly fit, however they are written.
    package let capacity: Int
    private let identity: FileIdentity
    private let copy: (read: Int32, write: Int32)
    // As large as the pipe; freed in deinit.
    private let buffer: UnsafeMutableRawBufferPointer

    /// Opens the pipe, made if need be.
    ///
    /// - Parameter room: bytes it should hold; the system may allow less.
    package init(_ settings: PipeSettings, room: Int) throws(ServingProblem) {
        path = settings.path
        if unsafe mkfifo(path, 0o600) != 0, errno != EEXIST {
            throw Self.problem("make the pipe", path)
        }
        // Checked before it is opened, since opening a file that is not a pipe may have effects; and what was opened is
        // checked itself.
        var info = stat()
        guard unsafe lstat(path, &info) == 0 else { throw Self.problem("look at", path) }
        try Self.refuseOthers(info, path)
        let opened = unsafe open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)
        guard opened >= 0 else { throw Self.problem("open", path) }
        var ends: [Int32] = [-1, -1]
        let found: FileIdentity
        do throws(ServingProblem) {
            guard unsafe fstat(opened, &info) == 0, let identity = FileIdentity(descriptor: opened)
            else { throw Self.problem("look at", path) }
            found = identity
            try Self.adopt(opened, info, settings)
            guard unsafe clinux_pipe(&ends) == 0 else { throw Self.problem("open", path) }
        } catch {
            Glibc.close(opened)
            throw error
        }
        (descriptor, identity, copy) = (opened, found, (ends[0], ends[1]))
        // Without privileges at most /proc/sys/fs/pipe-max-size; what it is then is what counts.
        _ = clinux_set_pipe_size(opened, Int32(clamping: room))
        var size = max(4096, clinux_pipe_size(opened))
        _ = clinux_set_pipe_size(ends[1], size)
        size = min(size, max(4096, clinux_pipe_size(ends[1])))
        // A write that does not fit into the last page begins a new one: half of each may stay empty.
        capacity = Int(size) / 2
        unsafe buffer = .allocate(byteCount: Int(size), alignment: 16)
    }

    /// The owner of a pipe may admit other users, who could take lines away and publish what they like.
    private static func refuseOthers(_ info: stat, _ path: String) throws(ServingProblem) {
        guard info.st_mode & S_IFMT == S_IFIFO else {
            throw ServingProblem(
                description: "\(path) is not a named pipe; move it away, or see [pipe \(path)]"
            )
        }
        guard info.st_uid == geteuid() || info.st_uid == 0 else {
            throw ServingProblem(
                description: "the pipe \(path) belongs to user \(info.st_uid), not to "
                    + "holdfast's own user \(geteuid()) or to root: remove it, and holdfast makes its own"
            )
        }
    }

    /// Gives a pipe of our own the mode and the group that the ini file says; one of root's must admit no further users.
    private static func adopt(
        _ opened: Int32,
        _ info: stat,
        _ settings: PipeSettings
    ) throws(ServingProblem) {
        let path = settings.path
        try refuseOthers(info, path)
        guard info.st_uid == geteuid() else {
            guard info.st_mode & 0o077 & ~settings.mode == 0 else {
                let mode = String(info.st_mode & 0o777, radix: 8)
                let most = String(settings.mode, radix: 8)
                throw ServingProblem(
                    description:
                        "the pipe \(path) has the mode 0\(mode), which is wider than mode = 0\(most) "
                        + "of [pipe \(path)]: chmod it, or change that"
                )
            }
            return
        }
        var group = getegid()
        if let name = settings.group {
            guard let number = Accounts.group(name) else {
                throw ServingProblem(
                    description: "[pipe \(path)] group = \(name): there is no such group"
                )
            }
            group = number
        }
        // The new group never has what was meant for the old one.
        if info.st_gid != group {
            guard fchmod(opened, 0o600) == 0, fchown(opened, uid_t.max, group) == 0 else {
                throw problem("give to the group \(settings.group ?? "\(group)")", path)
            }
        } else if info.st_mode & 0o7777 == settings.mode {
            return
        }
        guard fchmod(opened, settings.mode) == 0 else { throw problem("set the mode of", path) }
    }

    deinit {
        close()
        Glibc.close(copy.read)
        Glibc.close(copy.write)
        unsafe buffer.deallocate()
    }

    /// Whether the path still leads to this pipe.
    package var isInPlace: Bool { FileIdentity(path: path) == identity }

    /// Distinguishes this pipe from others in a note that outlives the process.
    package var name: String { "\(identity.device):\(identity.inode)" }

    /// The pipe's content, which stays there, and whether the pipe is full: then nothing more can follow.
    package func peek() -> (bytes: [UInt8], isFull: Bool) {
        // Asked before: what was full then is seen to its end.
        let isFull = isFull
        let before = byteCount
        let count = unsafe tee(descriptor, copy.write, buffer.count, clinux_splice_nonblock)
        guard count > 0 else { return ([], false) }
        let taken = unsafe read(copy.read, buffer.baseAddress, count)
        guard taken > 0 else { return ([], false) }
        let bytes = unsafe [UInt8](UnsafeRawBufferPointer(rebasing: buffer[..<taken]))
        // What does not fit into the copy is never seen.
        return (bytes, isFull || taken < before)
    }

    /// Closes the pipe. Its content remains while another process has it open.
    package func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Whether a process reads from the path, as far as can be determined.
    package static func isRead(_ path: String) -> Bool {
        let writer = unsafe open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)
        guard writer >= 0 else { return errno != ENXIO && errno != ENOENT }
        Glibc.close(writer)
        return true
    }

    /// What is still in it.
    package var left: (bytes: Int, lines: Int) {
        let bytes = byteCount
        return (bytes, bytes == 0 ? 0 : peek().bytes.count { $0 == UInt8(ascii: "\n") })
    }

    private var byteCount: Int {
        var count: Int32 = 0
        _ = unsafe clinux_readable(descriptor, &count)
        return Int(count)
    }

    /// Whether writers have to wait.
    private var isFull: Bool {
        var look = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&look, 1, 0) == 0
    }

    /// Removes this many bytes from the front.
    package func take(_ count: Int) {
        var left = count
        while left > 0 {
            let taken = unsafe read(descriptor, buffer.baseAddress, min(left, buffer.count))
            if taken < 0, errno == EINTR { continue }
            // Another program, which should not, reads from it.
            guard taken > 0 else { return }
            left -= taken
        }
    }

    private static func problem(_ what: String, _ path: String) -> ServingProblem {
        let problem = BusDirectory.problem(
            what,
            path,
            needed: "its directory must be writable for holdfast's user"
        )
        return ServingProblem(description: "\(problem) (see [pipe \(path)])")
    }
}
