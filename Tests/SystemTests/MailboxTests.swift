import Foundation
import Glibc
import System
import Testing

@Suite struct `The mailbox` {
    @Test func `what other threads post arrives complete, each thread's in its order`() throws {
        let mailbox = try Mailbox<(thread: Int, number: Int)>()
        try take(from: mailbox) {
            var look = pollfd(fd: mailbox.descriptor, events: Int16(POLLIN), revents: 0)
            try #require(poll(&look, 1, 10_000) == 1, "no wake-up for what was posted")
            return mailbox.takeAll()
        }
    }

    @Test(arguments: [0, 200])
    func `the same holds for a thread that waits in it`(spin: Int64) throws {
        let mailbox = Mailbox<(thread: Int, number: Int)>(bell: FutexWord())
        try take(from: mailbox) {
            if spin > 0 { _ = mailbox.spin(microseconds: spin) }
            let taken = mailbox.take(waitingMilliseconds: 60_000)
            try #require(!taken.isEmpty, "no wake-up for what was posted")
            return taken
        }
    }

    @Test func `what is posted together is taken together`() throws {
        let mailbox = try Mailbox<Int>()
        mailbox.post(contentsOf: [1, 2, 3])
        #expect(mailbox.takeAll() == [1, 2, 3])
        mailbox.post(4)
        #expect(mailbox.takeAll(resets: false) == [4])
    }

    @Test func `a reader that expects something is woken by what comes after it has taken that`()
        throws
    {
        let mailbox = try Mailbox<Int>()
        func isRung() -> Bool {
            var look = pollfd(fd: mailbox.descriptor, events: Int16(POLLIN), revents: 0)
            return poll(&look, 1, 0) == 1
        }
        mailbox.expect()
        mailbox.post(1)
        #expect(!isRung())
        #expect(mailbox.takeAll() == [1])
        mailbox.post(2)
        #expect(isRung())
        #expect(mailbox.takeAll() == [2])
    }

    @Test func `a wait ends with what was posted before it`() {
        let mailbox = Mailbox<Int>(bell: FutexWord())
        mailbox.post(1)
        mailbox.wait(milliseconds: 60_000)
        #expect(mailbox.spin(microseconds: 0))
        #expect(mailbox.take(waitingMilliseconds: 0) == [1])
        #expect(!mailbox.spin(microseconds: 0))
        mailbox.wait(milliseconds: 1)
        #expect(mailbox.take(waitingMilliseconds: 0) == [])
    }

    @Test func `nothing is waited for where no time is given`() {
        let mailbox = Mailbox<Int>(bell: FutexWord())
        #expect(mailbox.take(waitingMilliseconds: 0) == [])
        mailbox.post(1)
        #expect(mailbox.take(waitingMilliseconds: 0) == [1])
        #expect(mailbox.take(waitingMilliseconds: 1) == [])
    }

    private func take(
        from mailbox: Mailbox<(thread: Int, number: Int)>,
        _ next: () throws -> [(thread: Int, number: Int)]
    ) throws {
        let threads = (0..<4).map { thread in
            Thread {
                for number in 0..<5000 { mailbox.post((thread, number)) }
            }
        }
        for thread in threads { thread.start() }
        var expected = [Int](repeating: 0, count: 4)
        while expected.reduce(0, +) < 20_000 {
            for (thread, number) in try next() {
                #expect(number == expected[thread])
                expected[thread] += 1
            }
        }
    }
}
