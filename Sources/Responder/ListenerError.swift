internal import Glibc
package import System

/// Why there is no listening socket; `description` is a sentence with the remedy.
package enum ListenerError: StartError, CustomStringConvertible {
    /// `key` is its name in the ini file.
    case cannotListen(String, code: Int32, key: String)
    /// A file of another user is in the place of the first path's; the second path is that of the socket.
    case inTheWay(String, of: String)
    case system(SystemError)
    case sentence(String)

    package var isPermanent: Bool {
        switch self {
        // The process that listens there may be about to end.
        case .cannotListen(_, EADDRINUSE, _): false
        case .cannotListen(_, let code, _): Self.isLasting(code)
        case .system(let error): Self.isLasting(error.code)
        case .inTheWay, .sentence: true
        }
    }

    private static func isLasting(_ code: Int32) -> Bool {
        switch code {
        case EACCES, EPERM, ENOENT, ENOTDIR, ELOOP, EROFS, ENAMETOOLONG, EADDRNOTAVAIL,
            EAFNOSUPPORT:
            true
        default: false
        }
    }

    package var description: String {
        switch self {
        case .inTheWay(let file, let path):
            "cannot listen on \(path): \(file) is in the way: it "
                + (FileOwner.sentence(file) ?? "cannot be reached")
                + "; if no holdfast of that user runs, remove it"
        case .cannotListen(let name, EACCES, let key) where !name.hasPrefix("/"):
            "cannot listen on \(name): only root may use ports below 1024; name a higher one (see \(key))"
        case .cannotListen(let name, EADDRINUSE, let key):
            "cannot listen on \(name): the address is in use; is another holdfast running? "
                + "(see \(key))"
        case .cannotListen(let name, EACCES, let key):
            "cannot listen on \(name): permission denied; the directory must be writable for "
                + "holdfast's user (see \(key))"
        case .cannotListen(let name, ENOENT, let key):
            "cannot listen on \(name): its directory does not exist; make it, or see \(key)"
        case .cannotListen(let name, let code, let key):
            "cannot listen on \(name): \(SystemError.sentence(of: code)) (see \(key))"
        case .system(let error): error.description
        case .sentence(let sentence): sentence
        }
    }
}
