internal import CLinux
internal import Core
internal import Glibc
internal import System

extension ConnectionTable {
    enum Accepted {
        case connection(ConnectionID)
        /// No connection waits.
        case nobody
        /// The process or the system has no descriptor left.
        case noDescriptor
        case failed
    }

    /// Accepts the next connection of a listening socket.
    func accept(from listener: Int32, isBusSocket: Bool) -> Accepted {
        while true {
            let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
            let descriptor = SystemCalls.retrying { Int(accept4(listener, nil, nil, flags)) }
            if descriptor >= 0 {
                return .connection(add(Int32(descriptor), isBusSocket: isBusSocket))
            }
            switch errno {
            case ECONNABORTED: continue
            case EAGAIN, EWOULDBLOCK: return .nobody
            case EMFILE, ENFILE: return .noDescriptor
            default: return .failed
            }
        }
    }

    // MARK: What the socket says

    /// Whether there are unread bytes, or the end of the stream.
    func hasInput(_ id: ConnectionID) -> Bool { SystemCalls.hasInput(id.index) }

    /// Whether the peer has closed, whether that was reported or not.
    func hasGone(_ id: ConnectionID, _ departure: Departure) -> Bool {
        switch departure {
        case .sending: SystemCalls.hasEnded(id.index)
        case .whole: SystemCalls.isGone(id.index)
        }
    }
}
