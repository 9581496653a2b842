internal import Foundation
internal import Synchronization

/// TCP ports for the servers of tests.
///
/// From below the range of which the kernel gives ports to clients, so that none of the thousands of clients takes
/// one between here and the server's bind; tests in this process never get the same one, and other processes begin
/// elsewhere.
package enum Ports {
    private static let range: Range<UInt16> = 20_000..<32_000
    private static let next = Mutex<UInt16>(
        range.lowerBound + UInt16(truncatingIfNeeded: getpid()) &* 97 % UInt16(range.count)
    )

    package static func free() throws -> UInt16 {
        for _ in range {
            let port = next.withLock { next in
                defer { next = next + 1 < range.upperBound ? next + 1 : range.lowerBound }
                return next
            }
            if isFree(port) { return port }
        }
        throw HarnessError("no free port in \(range)")
    }

    private static func isFree(_ port: UInt16) -> Bool {
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { return false }
        defer { close(number) }
        return Address.tcp(port).withSocketAddress { bind(number, $0, $1) } == 0
    }
}
