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
