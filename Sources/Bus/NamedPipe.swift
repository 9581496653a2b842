import CLinux
package import Configuration
import Glibc

/// A named pipe of the bus, kept open for reading and writing by every process, so that what is in it outlives any of
/// them, and so that writers who come and go are not the end of a stream.
///
/// Only the process that serves the bus reads. It looks at what is there without taking it (tee(2) into a pipe of its
/// own), and takes out exactly what has been done with: killed in between, the next one finds it again. For one thread.
@safe package final class NamedPipe {
    package let path: String
    package let descriptor: Int32
    /// Bytes that fit in for certain, however they are written.
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
        var info = stat()
        let isNew = unsafe mkfifo(path, 0o600) == 0
        if !isNew, errno != EEXIST { throw Self.problem("make the pipe", path) }
        guard unsafe lstat(path, &info) == 0 else { throw Self.problem("look at", path) }
        guard info.st_mode & S_IFMT == S_IFIFO else {
            throw ServingProblem(
                description: "\(path) is not a named pipe; move it away, or see [pipe \(path)]"
            )
        }
        if isNew {
            if let name = settings.group {
                guard let group = BusDirectory.groupNumber(name) else {
                    throw ServingProblem(
                        description: "[pipe \(path)] group = \(name): there is no such group"
                    )
                }
                guard unsafe chown(path, uid_t.max, group) == 0 else {
                    throw Self.problem("give to the group \(name)", path)
                }
            }
            guard unsafe chmod(path, settings.mode) == 0 else {
                throw Self.problem("set the mode of", path)
            }
        }
        let opened = unsafe open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)
        guard opened >= 0 else { throw Self.problem("open", path) }
        var ends: [Int32] = [-1, -1]
        guard let found = FileIdentity(descriptor: opened), unsafe clinux_pipe(&ends) == 0 else {
            let problem = Self.problem("open", path)
            close(opened)
            throw problem
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

    deinit {
        close(descriptor)
        close(copy.read)
        close(copy.write)
        unsafe buffer.deallocate()
    }

    /// Whether the path still leads to this pipe.
    package var isInPlace: Bool { FileIdentity(path: path) == identity }

    /// Tells this pipe from others in a note that outlives the process.
    package var name: String { "\(identity.device):\(identity.inode)" }

    /// What is in the pipe, which stays there, and whether it is full: then nothing more can come behind.
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

    /// Takes so many bytes out from the front.
    package func take(_ count: Int) {
        var left = count
        while left > 0 {
            let taken = unsafe read(descriptor, buffer.baseAddress, min(left, buffer.count))
            if taken < 0, errno == EINTR { continue }
            // Somebody else reads from it, who should not.
            guard taken > 0 else { return }
            left -= taken
        }
    }

    private static func problem(_ what: String, _ path: String) -> ServingProblem {
        ServingProblem(description: "\(BusDirectory.problem(what, path)) (see [pipe \(path)])")
    }
}
