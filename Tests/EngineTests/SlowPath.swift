import Glibc
import Harness
import Synchronization
import System

/// A way to a server that brings its answers slowly, for one connection.
final class SlowPath: Sendable {
    static let bytesPerSecond = 600_000
    private static let pieces = 20

    let options: String
    private let listener: Int32
    private let thread = Mutex<WorkerThread?>(nil)

    init(_ directory: TestDirectory, to server: PostgreSQL) throws {
        let path = try directory.makeDirectory("slow", mode: 0o755)
        options = "host=\(path) dbname=postgres user=postgres"
        let waiting = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        listener = waiting
        guard Self.withAddress("\(path)/.s.PGSQL.5432", { bind(waiting, $0, $1) }) == 0,
            listen(waiting, 1) == 0
        else { throw HarnessError("listening in \(path): errno \(errno)") }
        let target = "\(server.path)/.s.PGSQL.5432"
        thread.withLock {
            $0 = WorkerThread(name: "slow-path") {
                while true {
                    let client = accept(waiting, nil, nil)
                    if client < 0 { return }
                    Self.carry(client, target)
                }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        _ = thread.withLock { $0 }?.join(patienceMilliseconds: 60_000)
        close(listener)
    }

    private static func carry(_ client: Int32, _ target: String) {
        let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer {
            close(client)
            close(server)
        }
        guard withAddress(target, { connect(server, $0, $1) }) == 0 else { return }
        var buffer = [UInt8](repeating: 0, count: bytesPerSecond / pieces)
        while true {
            var both = [
                pollfd(fd: client, events: Int16(POLLIN), revents: 0),
                pollfd(fd: server, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&both, 2, -1) > 0 else { return }
            for (place, (from, to)) in zip(both, [(client, server), (server, client)])
            where place.revents != 0 {
                let count = read(from, &buffer, buffer.count)
                guard count > 0, write(to, buffer, count) == count else { return }
                if from == server, count == buffer.count {
                    // How slow the path is.
                    poll(nil, 0, Int32(1000 / pieces))
                }
            }
        }
    }

    private static func withAddress(
        _ path: String,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
