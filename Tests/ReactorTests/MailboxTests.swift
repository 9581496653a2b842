import Foundation
import Reactor
import Testing

@Suite struct `The mailbox` {
    @Test func `what other threads post arrives complete, each thread's in its order`() throws {
        let mailbox = try Mailbox<(thread: Int, number: Int)>()
        let epoll = try Epoll()
        try epoll.add(mailbox.descriptor, .read)
        let threads = (0..<4).map { thread in
            Thread {
                for number in 0..<5000 { mailbox.post((thread, number)) }
            }
        }
        for thread in threads { thread.start() }
        var next = [Int](repeating: 0, count: 4)
        while next.reduce(0, +) < 20_000 {
            let woken = try epoll.wait(milliseconds: 10_000)
            try #require(woken == 1, "no wake-up for what was posted")
            for (thread, number) in mailbox.takeAll() {
                #expect(number == next[thread])
                next[thread] += 1
            }
        }
    }
}
