internal import Bus
package import Channels
internal import Glibc
internal import System

/// Connects to a bus: by its socket or, if no process serves it and its log belongs to this user, by a responder inside
/// this process.
package struct BusConnector {
    package let path: String
    /// Nil if only the socket's path is known.
    private let settings: BusSettings?
    /// Connects to a responder inside this process; nil if only one of another process will do.
    private let direct: (() throws(BusClientError) -> Int32)?

    /// - Parameter direct: returns a connected socket.
    package init(
        path: String,
        settings: BusSettings?,
        direct: (() throws(BusClientError) -> Int32)? = nil
    ) {
        self.path = path
        self.settings = settings
        self.direct = direct
    }

    /// Connects. If the process that serves the bus has just ended, waits for another to take its place.
    package func open(until deadline: Int64) throws(BusClientError) -> LineConnection {
        let giveUp = min(deadline, MonotonicClock.milliseconds() + 2000)
        while true {
            if let connection = LineConnection.connect(path) { return connection }
            switch errno {
            case ECONNREFUSED where isOtherFile:
                throw .absent("\(path) is not a socket; give the bus socket with --socket")
            case ENOENT, ECONNREFUSED, EAGAIN: break
            case EACCES:
                throw .absent(
                    "this user may not connect to \(path): see socket_mode and socket_group in [bus] of the ini file"
                )
            case let code:
                throw .absent(
                    "cannot connect to \(path): \(SystemError.sentence(of: code))"
                )
            }
            let now = MonotonicClock.milliseconds()
            let isTaken = settings.flatMap(ServingLock.isTaken)
            if isTaken == true {
                guard now < deadline else {
                    throw lateError(
                        "\(path) does not exist although a process serves the bus; is [bus] socket the same for all processes?"
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

    /// The error for an answer that did not come in time; names the process that should have answered.
    package func lateError(_ sentence: String) -> BusClientError {
        let holder = settings.flatMap(ServingLock.holder)
        return .late(
            sentence
                + (holder.map { "; process \($0) serves the bus: is it stopped or stuck?" } ?? "")
        )
    }

    /// Whether something else than a socket is in its place, to which the system connects as little as to a socket that
    /// nobody serves.
    private var isOtherFile: Bool {
        var info = stat()
        return unsafe stat(path, &info) == 0 && info.st_mode & S_IFMT != S_IFSOCK
    }

    /// The error of a peer that is no bus, by its `Silence`.
    ///
    /// - Parameter outcome: what that means for what was asked.
    func silentError(_ outcome: String = "") -> BusClientError {
        .late("\(path) closed each connection without an answer; is it the bus socket?\(outcome)")
    }

    private var ownsLog: Bool {
        var info = stat()
        guard let settings, unsafe stat(settings.directory, &info) == 0 else { return false }
        return info.st_uid == geteuid() || geteuid() == 0
    }

    private var absent: BusClientError {
        .absent(
            "no holdfast serves \(path); start it (systemctl start holdfast, or holdfast serve), or give another socket "
                + "with --socket or --config"
        )
    }
}
