import CLinux
import Glibc

/// A file that only occupies space, which is released when the disk is full: trimming needs space, too.
struct Reserve {
    static let leastBytes: Int64 = 65_536

    let path: String
    /// What [bus] reserve_bytes says; 0: none is wanted.
    let wantedBytes: Int64

    var bytes: Int64 { fileStatus(AT_FDCWD, path)?.bytes ?? 0 }

    /// Creates the file in the wanted size, or halves the size until the disk allows it: even a small reserve keeps
    /// trimming possible. Returns its size.
    func make(in directory: BusDirectory) -> Int64 {
        var size = wantedBytes
        while size >= Self.leastBytes {
            if make(size, in: directory) { return size }
            size /= 2
        }
        return bytes
    }

    /// Creates or extends the file, if twice its size remains free on the disk. Returns whether it is there.
    func make(_ size: Int64, in directory: BusDirectory) -> Bool {
        let had = bytes
        if had >= size { return true }
        var system = statvfs()
        guard size > 0, unsafe statvfs(directory.path, &system) == 0 else { return false }
        let (available, _) = Int64(clamping: system.f_bavail)
            .multipliedReportingOverflow(by: Int64(clamping: system.f_frsize))
        guard available > 3 * size - had else { return false }
        let file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o660)
        guard file >= 0 else { return false }
        defer { close(file) }
        directory.adopt(file)
        if posix_fallocate(file, 0, Int(size)) == 0 { return true }
        _ = ftruncate(file, Int(had))
        return false
    }

    /// Removes the file. Returns whether there was one.
    func giveUp() -> Bool { unsafe unlink(path) == 0 }
}
