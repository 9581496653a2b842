internal import Glibc

/// Users and groups of this machine.
package enum Accounts {
    /// The number of a user, given by name or by the number itself; nil if there is none.
    package static func user(_ name: String) -> UInt32? {
        if let number = UInt32(name) { return number }
        return unsafe getpwnam(name).map { unsafe $0.pointee.pw_uid }
    }

    /// The same for a group.
    package static func group(_ name: String) -> UInt32? {
        if let number = UInt32(name) { return number }
        return unsafe getgrnam(name).map { unsafe $0.pointee.gr_gid }
    }

    /// The name of a user, or the number if it has no name.
    package static func name(ofUser number: UInt32) -> String {
        unsafe getpwuid(number).map { unsafe String(cString: $0.pointee.pw_name) } ?? "\(number)"
    }

    /// The same for a group.
    package static func name(ofGroup number: UInt32) -> String {
        unsafe getgrgid(number).map { unsafe String(cString: $0.pointee.gr_name) } ?? "\(number)"
    }

    /// The user that this process runs as.
    package static var ownName: String { name(ofUser: geteuid()) }
}

extension Accounts {
    /// A user's groups, the one that it has by itself first; none of a user without a name.
    package static func groups(ofUser number: UInt32) -> [UInt32] {
        guard let entry = unsafe getpwuid(number) else { return [] }
        var groups = [gid_t](repeating: 0, count: 1024)
        var count = Int32(groups.count)
        let found = unsafe getgrouplist(
            entry.pointee.pw_name,
            entry.pointee.pw_gid,
            &groups,
            &count
        )
        return found < 0 ? [] : Array(groups[..<Int(count)])
    }

    /// Whether a user could read a file, which root finds out as that user: access lists and the directories on the way
    /// count, too. Nil if that cannot be found out. Whatever other threads do meanwhile, they do as that user.
    package static func canRead(_ path: String, user: UInt32) -> Bool? {
        let groups = groups(ofUser: user)
        let ownGroup = getegid()
        var own = [gid_t](repeating: 0, count: 65_536)
        let ownCount = unsafe getgroups(Int32(own.count), &own)
        guard geteuid() == 0, !groups.isEmpty, ownCount >= 0,
            unsafe setgroups(groups.count, groups) == 0
        else { return nil }
        var canRead: Bool?
        if setegid(groups[0]) == 0, seteuid(user) == 0 {
            let file = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
            canRead = file >= 0 ? true : errno == EACCES ? false : nil
            if file >= 0 { close(file) }
        }
        let isBack =
            unsafe seteuid(0) == 0 && setegid(ownGroup) == 0
            && setgroups(Int(ownCount), own) == 0
        precondition(isBack, "root may be any user, and root again")
        return canRead
    }
}
