internal import CLinux
internal import Glibc
internal import Identity
internal import System

/// Reads files with keys.
enum KeyFiles {
    private static let byteLimit = 16_384

    /// Nil if the user that Holdfast runs as, which owns the log's directory, may read the file of a key, or if that is
    /// not known: only root can tell.
    static func unreadable(_ path: String, _ directory: String) -> String? {
        var info = stat()
        guard unsafe stat(directory, &info) == 0, info.st_uid != 0,
            unsafe access(path, R_OK) == 0,
            Accounts.canRead(path, user: info.st_uid) == false
        else { return nil }
        let user = Accounts.name(ofUser: info.st_uid)
        let groups = Accounts.groups(ofUser: info.st_uid).map { Accounts.name(ofGroup: $0) }
        let group = groups.first { $0 == "www-data" } ?? groups.first ?? user
        return
            "it \(FileOwner.owner(path) ?? "is in a closed directory"), and \(user), to whom \(directory) belongs, cannot "
            + "read it; give it to a group of that user: chgrp \(group) \(path)"
    }

    /// The contents of the file of a key, if no other user may read a secret in it, or write to it.
    static func read(_ path: String, isSecret: Bool) -> Result<[UInt8], KeyProblem> {
        func problem(_ wrong: String) -> Result<[UInt8], KeyProblem> {
            .failure(KeyProblem(wrong: wrong))
        }
        do throws(SmallFile.Problem) {
            let file = try SmallFile(path)
            let mode = String(file.mode, radix: 8)
            if isSecret, file.mode & 0o137 != 0 {
                return problem(
                    "has mode 0\(mode), so that others may read it; chmod 0640, or tighter"
                )
            }
            if file.mode & 0o022 != 0 {
                return problem(
                    "has mode 0\(mode), so that others may change it; chmod 0644, or tighter"
                )
            }
            return .success(try file.contents(atMost: byteLimit))
        } catch {
            return problem(error.predicate)
        }
    }
}
