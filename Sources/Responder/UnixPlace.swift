internal import Channels
internal import Configuration
internal import Glibc
internal import System

/// The path of a Unix socket and who may connect there, as the ini file says.
struct UnixPlace {
    let path: String
    let mode: UInt32
    let group: String?
    /// Whether a socket without a group of its own keeps the group of its directory; otherwise it gets the process's.
    let isOfDirectory: Bool
    /// Its name in the ini file.
    let key: String

    /// For web servers.
    init(_ path: String, _ settings: FastCGISettings) {
        self.path = path
        (mode, group) = (settings.mode, settings.group)
        (isOfDirectory, key) = (true, Listener.key)
    }

    /// For clients of the bus.
    init(_ path: String, _ settings: BusSettings) {
        self.path = path
        (mode, group) = (settings.socketMode, settings.socketGroup)
        (isOfDirectory, key) = (false, Listener.busKey)
    }

    /// Gives the path, which exists, its group and its mode.
    func admit() throws(ListenerError) {
        if let group {
            guard let number = Accounts.group(group) else {
                throw .sentence(
                    "cannot give \(path) to the group \(group): no such group (see \(key))"
                )
            }
            guard unsafe chown(path, uid_t.max, number) == 0 else {
                throw .system(SystemError("give to the group \(group)", on: path, code: errno))
            }
        } else if !isOfDirectory, unsafe chown(path, uid_t.max, getegid()) != 0 {
            throw .system(SystemError("give to the process's group", on: path, code: errno))
        }
        guard unsafe chmod(path, mode) == 0 else {
            throw .system(SystemError("set the mode of", on: path, code: errno))
        }
    }
}
