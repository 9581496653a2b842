import BusClient
internal import Foundation
import Glibc
import Harness
import Synchronization
import Testing

@Suite struct PublisherTests {
    /// A bus that takes every command and ends the connection without an answer.
    private final class DeafBus: Sendable {
        private let listener: Int32
        let commands = Atomic(0)

        init(_ path: String) throws {
            listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let bound = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            guard bound == 0, listen(listener, 64) == 0 else {
                throw HarnessError("cannot listen on \(path) (\(errno))")
            }
            Thread { [self] in
                while true {
                    let connection = accept(listener, nil, nil)
                    guard connection >= 0 else { return }
                    var bytes = [UInt8](repeating: 0, count: 4096)
                    if recv(connection, &bytes, bytes.count, 0) > 0 {
                        commands.add(1, ordering: .relaxed)
                    }
                    close(connection)
                }
            }.start()
        }

        func stop() {
            shutdown(listener, Int32(SHUT_RDWR))
            close(listener)
        }
    }

    @Test func `pub went on sending when the service had forgotten its key, and published twice`()
        throws
    {
        let directory = try TestDirectory()
        let path = directory.file("bus.sock")
        let bus = try DeafBus(path)
        defer { bus.stop() }
        let connector = BusConnector(path: path, settings: nil) { () throws(BusClientError) in
            throw .broken("the log is not ours")
        }
        let publisher = Publisher(connector, timeoutSeconds: 86_400, repeatMilliseconds: 300)
        do {
            _ = try publisher.put(Array("x".utf8), to: "a", options: [])
            Issue.record("nobody had answered")
        } catch {
            #expect("\(error)".contains("not sent again"))
            #expect(error.exitCode == 75)
        }
        // It had been sent again as long as that did no harm.
        #expect(bus.commands.load(ordering: .relaxed) > 1)
    }
}
