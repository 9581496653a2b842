internal import Foundation
internal import Synchronization

/// TCP ports for the servers of tests.
///
/// From below the range of which the kernel gives ports to clients, so that none of the thousands of clients takes
/// one between here and the server's bind. Each process has a block of its own while it lives, so that no two test
/// processes find the same port free.
package enum Ports {
    private static let range: Range<UInt16> = 20_000..<32_000
    private static let blockLength: UInt16 = 250
    private static let block = claimBlock()
    private static let next = Mutex<UInt16>(0)

    package static func free() throws -> UInt16 {
        guard let block else { throw HarnessError("no free block of ports in \(range)") }
        for _ in 0..<blockLength {
            let port = next.withLock { next in
                defer { next = (next + 1) % blockLength }
                return block + next
            }
            if isFree(port) { return port }
        }
        throw HarnessError("no free port from \(block) on")
    }

    /// The first port of a block that no other process has. An abstract socket, which the kernel removes with the
    /// process, is the mark of its owner.
    private static func claimBlock() -> UInt16? {
        let mark = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        for first in stride(from: range.lowerBound, to: range.upperBound, by: Int(blockLength)) {
            let address = Address.unix("\0holdfast-test-ports-\(first)")
            if address.withSocketAddress({ bind(mark, $0, $1) }) == 0 { return first }
        }
        return nil
    }

    private static func isFree(_ port: UInt16) -> Bool {
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { return false }
        defer { close(number) }
        return Address.tcp(port).withSocketAddress { bind(number, $0, $1) } == 0
    }
}
