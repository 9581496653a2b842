import CLinux
import Glibc
import Reactor
import System
import Testing

@Suite struct `What a reactor waits for` {
    private func pipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        try #require(Glibc.pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    @Test func `an event carries the generation that was given with its descriptor`() throws {
        let epoll = try Epoll()
        let ends = try pipe()
        try epoll.add(ends.read, generation: 7, .read)
        #expect(try epoll.wait(milliseconds: 0) == 0)
        #expect(write(ends.write, "x", 1) == 1)
        #expect(try epoll.wait(milliseconds: -1) == 1)
        let readiness = epoll.event(0)
        #expect(readiness.descriptor == ends.read && readiness.generation == 7)
        #expect(readiness.canRead && !readiness.canWrite && !readiness.peerClosed)
        close(ends.write)
        close(ends.read)
    }

    @Test func `an edge is told once, and a descriptor that was removed not at all`() throws {
        let epoll = try Epoll()
        let ends = try pipe()
        try epoll.add(ends.read, [.read, .edge])
        #expect(write(ends.write, "x", 1) == 1)
        #expect(try epoll.wait(milliseconds: -1) == 1)
        #expect(try epoll.wait(milliseconds: 0) == 0)
        epoll.remove(ends.read)
        #expect(write(ends.write, "x", 1) == 1)
        #expect(try epoll.wait(milliseconds: 0) == 0)
        close(ends.write)
        close(ends.read)
    }

    @Test func `more events than fit at first come with the next wait, which has more room`() throws
    {
        let epoll = try Epoll()
        var sockets: [Int32] = []
        for _ in 0..<600 {
            let number = eventfd(1, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
            try #require(number >= 0)
            sockets.append(number)
            try epoll.add(number, .read)
        }
        #expect(try epoll.wait(milliseconds: 0) == 512)
        #expect(try epoll.wait(milliseconds: 0) == 600)
        for socket in sockets { close(socket) }
    }

    @Test func `a descriptor that cannot be watched is told of by name`() throws {
        let epoll = try Epoll()
        #expect(throws: SystemError.self) { try epoll.add(-1, .read) }
    }
}
