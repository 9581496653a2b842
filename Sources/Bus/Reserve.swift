import CLinux
import Glibc

/// A file that only takes up room, so that some can be had when the disk is full: trimming, too, needs space first.
struct Reserve {
    let path: String
    let bytes: Int64

    /// Makes the file if it is missing and the disk has twice its size left over. Returns whether it is there.
    func make(in directory: BusDirectory) -> Bool {
        guard bytes > 0 else { return false }
        var status = stat()
        if unsafe stat(path, &status) == 0 {
            if status.st_size >= bytes { return true }
            // Left by a process that died while making it.
            _ = unsafe unlink(path)
        }
        var system = statvfs()
        guard unsafe statvfs(directory.path, &system) == 0,
            Int64(system.f_bavail) * Int64(system.f_frsize) > 3 * bytes
        else { return false }
        let file = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o660)
        guard file >= 0 else { return false }
        defer { close(file) }
        directory.adopt(file)
        if posix_fallocate(file, 0, Int(bytes)) == 0 { return true }
        _ = unsafe unlink(path)
        return false
    }

    /// Gives the room back to the disk. Returns whether there was any.
    func giveUp() -> Bool { unsafe unlink(path) == 0 }
}
