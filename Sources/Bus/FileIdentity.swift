import CLinux
import Glibc

/// Tells a file from every other that has or had its name: device and inode, and when it was made, since inodes are
/// given out again.
struct FileIdentity: Equatable, Sendable {
    var device: UInt64
    var inode: UInt64
    /// Nanoseconds since 1970; 0 if the file system does not say.
    var birth: Int64

    init(device: UInt64, inode: UInt64, birth: Int64) {
        self.device = device
        self.inode = inode
        self.birth = birth
    }

    /// Of what the path leads to now; nil if there is nothing or it cannot be reached.
    init?(path: String) { self.init(in: AT_FDCWD, path) }

    init?(descriptor: Int32) { self.init(in: descriptor, "") }

    private init?(in directory: Int32, _ path: String) {
        guard let file = fileStatus(directory, path) else { return nil }
        self = file.identity
    }

    /// The two numbers of its device, as Linux packs those beyond 8 bits (sysmacros.h).
    var deviceNumbers: (major: UInt64, minor: UInt64) {
        (
            (device >> 8) & 0xfff | (device >> 32) & ~0xfff,
            device & 0xff | (device >> 12) & ~0xff
        )
    }

    /// Whether it is the same file as was noted earlier; its device may have another number after a reboot.
    func isSame(as noted: FileIdentity?, sameBoot: Bool) -> Bool {
        guard let noted else { return false }
        return inode == noted.inode && birth == noted.birth && (!sameBoot || device == noted.device)
    }
}

/// The status of a path in an open directory, or of the descriptor itself if the path is empty; nil if there is nothing.
///
/// `changed` is the time of the newest change, in nanoseconds since 1970.
func fileStatus(
    _ directory: Int32,
    _ path: String
) -> (identity: FileIdentity, bytes: Int64, changed: Int64)? {
    var file = clinux_file()
    guard unsafe clinux_file_status(directory, path, &file) == 0 else { return nil }
    let identity = FileIdentity(device: file.device, inode: file.inode, birth: file.birth)
    return (identity, file.size, file.changed)
}

/// The three files that together hold the log. Any two of them alone may hold less than was acknowledged, and SQLite
/// does not notice when one is removed or replaced while it is open.
struct LogFileSet: Equatable, Sendable {
    var log: FileIdentity?
    var writeAhead: FileIdentity?
    /// The index of the write-ahead log, which holds no messages but the locks.
    var index: FileIdentity?
}

extension LogFileSet {
    init(in directory: String) {
        log = FileIdentity(path: directory + "/log.sqlite")
        writeAhead = FileIdentity(path: directory + "/log.sqlite-wal")
        index = FileIdentity(path: directory + "/log.sqlite-shm")
    }
}
