internal import CLinux
internal import Glibc

/// The program that started and watches this process, such as systemd: where it receives notifications, and how often it
/// expects a keep-alive (sd_notify(3), sd_watchdog_enabled(3)).
package final class ServiceManager {
    /// The outcome of sending a datagram.
    package enum Outcome {
        case told
        /// The manager's queue is full; try again later.
        case full
        /// The socket has no reader.
        case failed
    }

    private let socket: OwnedDescriptor
    private let address: UnixAddress
    private let place: String
    /// The manager kills a process that sends no keep-alive for this long; nil: it expects none.
    package let watchdogMilliseconds: Int64?

    /// The manager of this process, from NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; nil if there is none. Removes the
    /// variables, which do not concern children.
    package static func ofThisProcess() -> ServiceManager? {
        let place = EnvironmentVariable.take("NOTIFY_SOCKET")
        let period = EnvironmentVariable.take("WATCHDOG_USEC").flatMap { Int64($0) }
        let watched = EnvironmentVariable.take("WATCHDOG_PID")
        let isWatched = watched == nil || watched == "\(getpid())"
        let milliseconds = isWatched ? period.map { $0 / 1000 } : nil
        return place.flatMap { ServiceManager($0, watchdogMilliseconds: milliseconds) }
    }

    /// - Parameter place: an absolute path, or '@' and a name without a file.
    package init?(_ place: String, watchdogMilliseconds: Int64?) {
        let found =
            place.hasPrefix("@") ? UnixAddress(abstract: place.dropFirst()) : UnixAddress(place)
        guard let found, place.hasPrefix("@") || place.hasPrefix("/") else { return nil }
        let number = Glibc.socket(
            AF_UNIX,
            Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue),
            0
        )
        guard number >= 0 else { return nil }
        socket = OwnedDescriptor(number)
        address = found
        self.place = place
        self.watchdogMilliseconds = watchdogMilliseconds.flatMap { $0 > 0 ? $0 : nil }
    }

    /// The variables by which a process that goes on in the place of this one finds the manager.
    package var environment: [String] {
        let watchdog = watchdogMilliseconds.map { ["WATCHDOG_USEC=\($0 * 1000)"] } ?? []
        return ["NOTIFY_SOCKET=\(place)"] + watchdog
    }

    /// Sends lines such as `READY=1`, without blocking.
    package func tell(_ lines: String) -> Outcome {
        if address.send(Array(lines.utf8), from: socket.number) >= 0 { return .told }
        switch errno {
        case EAGAIN, ENOBUFS, EINTR: return .full
        default: return .failed
        }
    }
}

/// Environment variables that concern this process alone.
package enum EnvironmentVariable {
    /// All of them, as `NAME=value`.
    package static var all: [String] {
        var all: [String] = []
        var next = unsafe environ
        while let text = unsafe next.pointee {
            all.append(unsafe String(cString: text))
            unsafe next += 1
        }
        return all
    }

    /// Returns the value and removes the variable. Call it before other threads exist, because the environment has no
    /// lock.
    package static func take(_ name: String) -> String? {
        guard let value = unsafe getenv(name).map({ unsafe String(cString: $0) }) else {
            return nil
        }
        unsafe unsetenv(name)
        return value
    }
}
