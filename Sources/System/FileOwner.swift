internal import CLinux
internal import Glibc

/// Describes the owner of a file, for messages about a file that is in the way.
package enum FileOwner {
    /// For example `belongs to root:holdfast with mode 0600, and this process runs as www-data`; nil if there is no
    /// such file, or nothing is known of it.
    package static func sentence(_ path: String) -> String? {
        owner(path).map { "\($0), and this process runs as \(Accounts.ownName)" }
    }

    /// For example `belongs to root:holdfast with mode 0600`.
    package static func owner(_ path: String) -> String? {
        var info = stat()
        guard unsafe lstat(path, &info) == 0 else { return nil }
        let mode = "0" + String(info.st_mode & 0o7777, radix: 8)
        let user = Accounts.name(ofUser: info.st_uid)
        let group = Accounts.name(ofGroup: info.st_gid)
        return "belongs to \(user):\(group) with mode \(mode)"
    }

    /// The file that is in the way of a directory with this absolute path, at its end or at a parent.
    package static func fileInPlaceOfDirectory(_ path: String) -> String? {
        var way = ""
        for name in path.split(separator: "/") {
            way += "/" + name
            var info = stat()
            guard unsafe stat(way, &info) == 0 else { return nil }
            if info.st_mode & S_IFMT != S_IFDIR { return way }
        }
        return nil
    }
}
