import CLinux
import Channels
import Glibc
import System

/// The bus directory: its files' names, its descriptor, and the gate on it.
///
/// Every write and every checkpoint of every process happens between `enter` and `leave`: before 3.51.3, SQLite
/// can lose committed data when one process checkpoints while another resets the write-ahead log. flock also
/// queues the writers, where SQLite's own lock is a lottery. The kernel releases it when a process dies.
final class BusDirectory: Sendable {
    let path: String
    let identity: FileIdentity
    /// Nothing in it survives a reboot.
    let isInMemory: Bool
    /// The group of the files made here; nil: the process's own.
    private let group: gid_t?
    private let descriptor: Int32

    var logPath: String { path + "/log.sqlite" }
    var wakePath: String { path + "/wake" }
    var reservePath: String { path + "/reserve" }

    /// Opens the directory, or makes it (2770, its parent must exist).
    init(settings: BusSettings) throws(LogError) {
        path = settings.directory
        group = try Self.groupID(settings.group)
        if unsafe mkdir(path, 0o770) == 0 {
            // Set-group-ID, so that files which others make here belong to the same group; mkdir ignores the bit
            // and obeys the umask.
            if let group { _ = unsafe chown(path, UInt32.max, group) }
            _ = unsafe chmod(path, 0o2770)
        } else if errno != EEXIST {
            throw Self.problem("make the directory", path)
        }
        let opened = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard opened >= 0 else { throw Self.problem("open the directory", path) }
        descriptor = opened
        guard let found = FileIdentity(descriptor: opened) else {
            close(opened)
            throw Self.problem("look at the directory", path)
        }
        identity = found
        let type = Self.fileSystemType(found)
        isInMemory = type == "tmpfs" || type == "ramfs"
        if let type, Self.isNetwork(type) {
            // No close here: every stored property is set, so deinit does it.
            throw LogError.lasting(
                "\(path) is on a network file system (\(type)), where neither flock nor SQLite's log is safe; "
                    + "put [bus] directory on a local disk or tmpfs"
            )
        }
    }

    deinit { close(descriptor) }

    /// Waits for the gate, however long a process inside it takes; the caller's patience is a timer elsewhere.
    func enter() throws(LogError) {
        while flock(descriptor, LOCK_EX) != 0 {
            if errno != EINTR { throw Self.problem("lock the directory", path) }
        }
    }

    /// Enters the gate unless another process is inside. Threads of one process are not kept apart by it.
    func enterIfFree() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }

    func leave() { _ = flock(descriptor, LOCK_UN) }

    /// Whether the path still leads to this directory.
    var isCurrent: Bool { FileIdentity(path: path) == identity }

    /// The log's files that are in it now, also if it was moved.
    var files: LogFileSet {
        LogFileSet(
            log: fileStatus(descriptor, "log.sqlite")?.identity,
            writeAhead: fileStatus(descriptor, "log.sqlite-wal")?.identity,
            index: fileStatus(descriptor, "log.sqlite-shm")?.identity
        )
    }

    /// 0: there is none, or it is empty and holds no messages.
    var writeAheadBytes: Int64 { fileStatus(descriptor, "log.sqlite-wal")?.bytes ?? 0 }

    /// Nil if it has no name at the moment.
    var logBytes: Int64? { fileStatus(descriptor, "log.sqlite")?.bytes }

    var wake: FileIdentity? { fileStatus(descriptor, "wake")?.identity }

    func sync() { _ = fsync(descriptor) }

    /// Makes an empty file for the group unless there is one; SQLite itself would make it with the umask's mode.
    func makeFile(_ path: String) throws(LogError) {
        let file = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o660)
        guard file >= 0 else {
            if errno == EEXIST { return }
            throw Self.problem("make", path)
        }
        adopt(file)
        close(file)
    }

    /// Gives a file made here its mode and group.
    func adopt(_ file: Int32) {
        _ = fchmod(file, 0o660)
        if let group { _ = fchown(file, UInt32.max, group) }
    }

    /// - Parameter needed: what a file needs to which access is denied; here, one of the bus directory.
    static func problem(
        _ what: String,
        _ path: String,
        needed: String = "the directory and its files must belong to the group in [bus] group"
    ) -> LogError {
        let code = errno
        let reason = SystemError.sentence(of: code)
        let advice =
            switch code {
            case EACCES, EPERM: "; \(needed)"
            case ENOENT: "; its parent directory must exist"
            case EEXIST: "; nothing is overwritten: remove it, or give another path"
            case EROFS: "; it must be writable"
            case ENOSPC, EDQUOT: "; make room on it"
            default: ""
            }
        return LogError.problem("cannot \(what) \(path): \(reason)\(advice)")
    }

    private static func groupID(_ name: String?) throws(LogError) -> gid_t? {
        guard let name else { return nil }
        guard let number = Accounts.group(name) else {
            throw LogError.lasting("[bus] group = \(name): there is no such group on this machine")
        }
        return number
    }

    private static func isNetwork(_ type: String) -> Bool {
        let names = [
            "nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "9p", "lustre", "gfs2",
            "ocfs2", "glusterfs", "beegfs",
        ]
        // "fuse.sshfs" and its like; the local ones say "fuseblk".
        return names.contains(type) || type.hasPrefix("fuse.")
    }

    /// The type of the file system with the device, as in the fields of proc(5) mountinfo:
    /// `36 35 98:0 /root /mount options [tags…] - type source options`. Nil if no line names the device.
    private static func fileSystemType(_ identity: FileIdentity) -> String? {
        let numbers = identity.deviceNumbers
        let wanted = "\(numbers.major):\(numbers.minor)"
        for line in SmallFile.text(of: "/proc/self/mountinfo").split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 3, fields[2] == wanted,
                let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count
            else { continue }
            return String(fields[dash + 1])
        }
        return nil
    }
}
