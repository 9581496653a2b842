internal import CLinux
internal import Glibc
internal import Responder
internal import System

/// The file of the program that runs, as it was when it started.
struct ProgramFile {
    private struct Identity: Equatable {
        let device: UInt64
        let inode: UInt64
        let changed: Int64

        init?(_ path: String) {
            var info = stat()
            guard unsafe stat(path, &info) == 0, info.st_mode & S_IFMT == S_IFREG else {
                return nil
            }
            device = UInt64(info.st_dev)
            inode = UInt64(info.st_ino)
            changed = Int64(info.st_mtim.tv_sec) * 1_000_000_000 + Int64(info.st_mtim.tv_nsec)
        }
    }

    private let path: String?
    private let identity: Identity?

    /// To be called at the start, when the file is still in its place.
    init() {
        let link = "/proc/self/exe"
        var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe bytes.withUnsafeMutableBytes { bytes in
            guard let room = bytes.baseAddress else { return 0 }
            return unsafe readlink(link, room.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        path = count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
        // The identity of what runs, even if another file has replaced the path meanwhile.
        identity = Identity(link)
    }

    /// The program to start in place of this one, if its file has been replaced: with the same arguments.
    func successor(under manager: ServiceManager) -> Successor? {
        guard let path, let identity, let found = Identity(path), found != identity else {
            return nil
        }
        let flag = "--take-over"
        let arguments = CommandLine.arguments.dropFirst().filter { $0 != flag }
        return Successor(
            program: path,
            arguments: arguments + [flag],
            environment: EnvironmentVariable.all + manager.environment
        )
    }
}
