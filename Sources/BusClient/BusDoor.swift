internal import Bus
package import Configuration
internal import Glibc
internal import Reactor

/// How to get at a bus: by its socket, or where no process serves it, and its log is this user's, without one.
package struct BusDoor {
    private let path: String
    /// Nil where only the socket's path is known.
    private let settings: BusSettings?
    /// Connects to a responder inside this process.
    private let direct: () throws -> Int32

    /// - Parameter direct: returns a connected socket.
    package init(path: String, settings: BusSettings?, direct: @escaping () throws -> Int32) {
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
            switch settings.flatMap(ServingLock.isTaken) {
            case false: return try openDirectly()
            case true:
                guard now < deadline else {
                    throw BusClientError.late(
                        "a process serves the bus, but \(path) does not answer; is [bus] socket the same for all?"
                    )
                }
            case nil:
                guard now < giveUp else { throw absent }
            }
            poll(nil, 0, 20)
        }
    }

    private func openDirectly() throws -> LineConnection {
        guard let directory = settings?.directory else { throw absent }
        var info = stat()
        guard unsafe stat(directory, &info) == 0, info.st_uid == geteuid() || geteuid() == 0 else {
            throw absent
        }
        return LineConnection(try direct())
    }

    private var absent: BusClientError {
        .absent(
            "no holdfast serves \(path); start it (systemctl start holdfast, or holdfast serve), or name another socket "
                + "with --socket or --config"
        )
    }
}
