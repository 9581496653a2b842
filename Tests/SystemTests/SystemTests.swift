import Foundation
import Glibc
import System
import Testing

@Suite struct `The system` {
    @Test func `a thread is named, has all signals blocked and can be waited for`() throws {
        let seen = Mailbox<(name: String, isBlocked: Bool)>(bell: FutexWord())
        let thread = try #require(
            WorkerThread(name: "hf-of-a-test") {
                var mask = sigset_t()
                pthread_sigmask(SIG_SETMASK, nil, &mask)
                let name = (try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8))
                seen.post((name ?? "", sigismember(&mask, SIGTERM) == 1))
            }
        )
        #expect(thread.join(patienceMilliseconds: 60_000))
        let found = try #require(seen.take(waitingMilliseconds: 0).first)
        #expect(found.name == "hf-of-a-test\n")
        #expect(found.isBlocked)
    }

    @Test func `a thread that goes on is not waited for longer than asked`() throws {
        let bell = FutexWord()
        let thread = try #require(
            WorkerThread(name: "hf-waits") { bell.wait(whileEqual: 0, milliseconds: 120_000) }
        )
        #expect(!thread.join(patienceMilliseconds: 1))
        bell.ring()
        #expect(thread.join(patienceMilliseconds: 60_000))
    }

    @Test func `a path that is too long for a socket is no address`() {
        let longest = "/" + String(repeating: "a", count: UnixAddress.pathBytes - 1)
        #expect(UnixAddress.pathBytes == 107)
        #expect(UnixAddress(longest) != nil)
        #expect(UnixAddress(longest + "a") == nil)
        #expect(Sockets.connect(unix: longest + "a") == nil && errno == ENAMETOOLONG)
    }

    @Test func `a child has the descriptors and the environment that it is given`() throws {
        let input = try OwnedDescriptor.inMemory("input", Array("word".utf8))
        let output = try OwnedDescriptor.inMemory("output")
        let child = try ChildProcess(
            "/bin/sh",
            ["-c", "cat; echo \" $A $B\"; exit 3"],
            environment: ["A=one", "PATH=/usr/bin:/bin"],
            descriptors: [(input.number, 0), (output.number, 1)]
        )
        #expect(child.wait() == .exited(3))
        lseek(output.number, 0, SEEK_SET)
        #expect(SystemCalls.readSome(output.number) == Array("word one \n".utf8))
    }

    @Test func `a child that is killed is told from one that ends`() throws {
        let child = try ChildProcess("sleep", ["600"], descriptors: [])
        child.kill()
        #expect(child.wait() == .killed(signal: SIGKILL))
    }

    @Test func `a program that is not there is an error`() {
        let error = #expect(throws: SystemError.self) {
            try ChildProcess("/nowhere/program", [], descriptors: [])
        }
        #expect(error?.code == ENOENT)
    }

    @Test func `users and groups are found by name and by number`() {
        #expect(Accounts.user("root") == 0)
        #expect(Accounts.group("root") == 0)
        #expect(Accounts.user("4000000000") == 4_000_000_000)
        #expect(Accounts.user("nobody-of-this-name") == nil)
        #expect(Accounts.name(ofUser: 0) == "root")
        #expect(Accounts.name(ofGroup: 3_999_999_999) == "3999999999")
    }
}
