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
        // A named pipe would keep the whole process waiting for a writer.
        let opened = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard opened >= 0, let file = unsafe fdopen(opened, "r") else {
            return problem("cannot be read: \(SystemError.sentence(of: errno))")
        }
        defer { unsafe fclose(file) }
        var status = stat()
        guard unsafe fstat(fileno(file), &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return problem("is not a file")
        }
        let mode = String(status.st_mode & 0o777, radix: 8)
        if isSecret, status.st_mode & 0o137 != 0 {
            return problem("has mode 0\(mode), so that others may read it; chmod 0640, or tighter")
        }
        if status.st_mode & 0o022 != 0 {
            return problem(
                "has mode 0\(mode), so that others may change it; chmod 0644, or tighter"
            )
        }
        var bytes = [UInt8](repeating: 0, count: byteLimit + 1)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        if unsafe ferror(file) != 0 {
            return problem("cannot be read: \(SystemError.sentence(of: errno))")
        }
        guard count <= byteLimit else { return problem("is too long for a key") }
        return .success(Array(bytes[..<count]))
    }
}
