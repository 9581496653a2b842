import CLinux
import Glibc

/// A file that only takes up room, so that some can be had when the disk is full: trimming, too, needs space first.
struct Reserve {
    static let leastBytes: Int64 = 65_536

    let path: String
    /// What [bus] reserve_bytes says; 0: none is wanted.
    let wantedBytes: Int64

    var bytes: Int64 { fileStatus(AT_FDCWD, path)?.bytes ?? 0 }

    /// Makes it as large as is wanted, or as the disk allows, halving it until it does: a small one still keeps trimming
    /// possible. Returns how large it is.
    func make(in directory: BusDirectory) -> Int64 {
        var size = wantedBytes
        while size >= Self.leastBytes {
            if make(size, in: directory) { return size }
            size /= 2
        }
        return bytes
    }

    /// Makes it, or what is missing of it, if the disk has twice its size left over. Returns whether it is there.
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

    /// Gives the room back to the disk. Returns whether there was any.
    func giveUp() -> Bool { unsafe unlink(path) == 0 }
}
