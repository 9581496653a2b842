internal import Bus
package import Configuration
internal import Glibc
internal import Reactor

/// How to get at a bus: by its socket, or where no process serves it, and its log is this user's, without one.
package struct BusDoor {
    package let path: String
    /// Nil where only the socket's path is known.
    private let settings: BusSettings?
    /// Connects to a responder inside this process; nil where only one that others run will do.
    private let direct: (() throws -> Int32)?

    /// - Parameter direct: returns a connected socket.
    package init(path: String, settings: BusSettings?, direct: (() throws -> Int32)? = nil) {
        self.path = path
        self.settings = settings
        self.direct = direct
    }

    /// Connects. Where a process that serves the bus has just ended, another takes its place in a moment, which is
    /// waited for.
    package func open(until deadline: Int64) throws -> LineConnection {
        let giveUp = min(deadline, MonotonicClock.milliseconds() + 2000)
        while true {
            if let connection = LineConnection.connect(path) { return connection }
            switch errno {
            case ENOENT, ECONNREFUSED, EAGAIN: break
            case EACCES:
                throw BusClientError.absent(
                    "this user may not connect to \(path): see socket_mode and socket_group in [bus] of the ini file"
                )
            case let code:
                throw BusClientError.absent(
                    "cannot connect to \(path): \(SystemError.sentence(of: code))"
                )
            }
            let now = MonotonicClock.milliseconds()
            let isTaken = settings.flatMap(ServingLock.isTaken)
            if isTaken == true {
                guard now < deadline else {
                    throw silent(
                        "\(path) is not there although a process serves the bus; is [bus] socket the same for all?"
                    )
                }
            } else if isTaken == false, ownsLog, let direct {
                return LineConnection(try direct(), isInside: true)
            } else {
                guard now < giveUp else { throw absent }
            }
            poll(nil, 0, 20)
        }
    }

    /// No answer came in time.
    package func silent(_ sentence: String) -> BusClientError {
        let holder = settings.flatMap(ServingLock.holder)
        return .late(
            sentence
                + (holder.map { "; process \($0) serves the bus: is it stopped, or stuck?" } ?? "")
        )
    }

    private var ownsLog: Bool {
        var info = stat()
        guard let settings, unsafe stat(settings.directory, &info) == 0 else { return false }
        return info.st_uid == geteuid() || geteuid() == 0
    }

    private var absent: BusClientError {
        .absent(
            "no holdfast serves \(path); start it (systemctl start holdfast, or holdfast serve), or name another socket "
                + "with --socket or --config"
        )
    }
}
