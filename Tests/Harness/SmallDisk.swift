internal import Foundation

/// A file system of a few megabytes, for filling up. Root only.
package final class SmallDisk {
    package let path: String
    private let directory: TestDirectory

    /// Whether this process may mount; root in a container may not.
    package static let isPossible: Bool = {
        guard Place.isRoot, let directory = try? TestDirectory() else { return false }
        return (try? SmallDisk(directory, megabytes: 1)) != nil
    }()

    package init(_ directory: TestDirectory, megabytes: Int) throws {
        self.directory = directory
        path = try directory.makeDirectory("disk")
        let options = "size=\(megabytes)m,mode=0755"
        guard mount("tmpfs", path, "tmpfs", 0, options) == 0 else {
            throw HarnessError.system("mount a tmpfs on \(path)")
        }
    }

    deinit { umount2(path, Int32(MNT_DETACH)) }

    /// Takes all the room that is left.
    package func fill() throws {
        let file = open("\(path)/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw HarnessError.system("open a file on \(path)") }
        defer { close(file) }
        for size in [65_536, 1024, 1] {
            let zeros = [UInt8](repeating: 0, count: size)
            while write(file, zeros, size) > 0 {}
        }
    }

    /// No process may have a file open for writing.
    package func makeReadOnly(_ isReadOnly: Bool) throws {
        let flags = UInt(MS_REMOUNT | (isReadOnly ? MS_RDONLY : 0))
        guard mount("tmpfs", path, "tmpfs", flags, nil) == 0 else {
            throw HarnessError.system("mount \(path) again")
        }
    }

    /// Gives it back.
    package func empty() { unlink("\(path)/filler") }
}
