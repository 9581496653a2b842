internal import CLinux
internal import Glibc

/// A file that is small by its purpose: settings, a key, a position, or one of the kernel's in `/proc`.
///
/// Something else in its place is found at once. A named pipe would keep the process waiting for a writer, a device may
/// have no end, and either may be there by mistake or by somebody's will.
package struct SmallFile: ~Copyable {
    /// Why it cannot be used.
    package enum Problem: Error {
        /// The number of the system's error.
        case system(Int32)
        /// What is there instead.
        case notAFile(String)
        /// It has more bytes than the caller allows.
        case tooLong(Int)
        /// A pipe that the caller of the program gave it, from which nothing more comes.
        case ended

        /// The rest of a sentence whose subject is the file.
        package var predicate: String {
            switch self {
            case .system(let code): "cannot be read: \(SystemError.sentence(of: code))"
            case .notAFile(let kind): "is not a file but \(kind)"
            case .tooLong(let limit): "has more than \(limit) bytes"
            case .ended: "is a pipe that has ended"
            }
        }
    }

    private let descriptor: OwnedDescriptor
    private let isRegular: Bool
    /// The permission bits.
    package let mode: UInt32

    /// Opens it, without waiting for anybody.
    ///
    /// - Parameter acceptsGiven: whether it may also be a pipe, or whatever else the caller of the program has opened for
    ///   it, as in `--config <(…)` of a shell. `/dev/null` counts as an empty file in any case.
    package init(_ path: String, acceptsGiven: Bool = false) throws(Problem) {
        // Without O_NONBLOCK, this waits for the writer of a named pipe.
        let opened = unsafe open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        guard opened >= 0 else {
            let code = errno
            // A socket cannot be opened, for which the system has no sentence of its own.
            var info = stat()
            if code == ENXIO, unsafe stat(path, &info) == 0, let kind = Self.kind(info.st_mode) {
                throw .notAFile(kind)
            }
            throw .system(code)
        }
        let file = OwnedDescriptor(opened)
        var info = stat()
        guard unsafe fstat(opened, &info) == 0 else { throw .system(errno) }
        let kind = Self.kind(info.st_mode)
        let isRegular = kind == nil || path == "/dev/null"
        if let kind, !isRegular, !acceptsGiven || !Self.isGiven(path) { throw .notAFile(kind) }
        self.isRegular = isRegular
        mode = info.st_mode & 0o777
        descriptor = file
    }

    /// All of it, if it has at most `limit` bytes.
    package func contents(atMost limit: Int) throws(Problem) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count <= limit {
            guard let some = SystemCalls.readSome(descriptor.number) else { throw .system(errno) }
            if some.isEmpty {
                guard isRegular || !bytes.isEmpty else { throw .ended }
                return bytes
            }
            bytes += some
        }
        throw .tooLong(limit)
    }

    /// All of its text; empty if it cannot be read, or is longer than any list of the kernel's should be.
    package static func text(of path: String) -> String {
        do throws(Problem) {
            return String(decoding: try SmallFile(path).contents(atMost: 64 << 20), as: UTF8.self)
        } catch {
            return ""
        }
    }

    /// The first line of that, without its end.
    package static func firstLine(of path: String) -> String {
        String(text(of: path).prefix { $0 != "\n" })
    }

    /// Whether the path names a descriptor that this process was started with.
    private static func isGiven(_ path: String) -> Bool {
        path == "/dev/stdin" || path.hasPrefix("/dev/fd/") || path.hasPrefix("/proc/self/fd/")
    }

    /// Nil for a regular file.
    private static func kind(_ mode: mode_t) -> String? {
        switch mode & S_IFMT {
        case S_IFREG: nil
        case S_IFDIR: "a directory"
        case S_IFIFO: "a named pipe"
        case S_IFSOCK: "a socket"
        case S_IFCHR, S_IFBLK: "a device"
        default: "something else"
        }
    }
}
