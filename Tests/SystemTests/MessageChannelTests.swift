import Glibc
import System
import Testing

@Suite struct MessageChannelTests {
    private func pair() throws -> (MessageChannel, MessageChannel) {
        let (a, b) = try MessageChannel.pair()
        return (try #require(MessageChannel(a)), try #require(MessageChannel(b)))
    }

    private func text(_ received: MessageChannel.Received) -> String? {
        guard case .message(let bytes, _) = received else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `messages keep their ends, and descriptors lead to the same file`() throws {
        let (ours, theirs) = try pair()
        let file = try OwnedDescriptor.inMemory("test", Array("content".utf8))
        #expect(ours.send(Array("one".utf8)) == .sent)
        #expect(ours.send(Array("two".utf8), descriptors: [file.number, file.number]) == .sent)
        #expect(text(theirs.receive()) == "one")
        guard case .message(let bytes, let descriptors) = theirs.receive() else {
            Issue.record("no message")
            return
        }
        #expect(String(decoding: bytes, as: UTF8.self) == "two" && descriptors.count == 2)
        for descriptor in descriptors {
            #expect(descriptor != file.number)
            // No program that is started meanwhile keeps it.
            #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
            lseek(descriptor, 0, SEEK_SET)
            var room = [UInt8](repeating: 0, count: 20)
            let count = read(descriptor, &room, room.count)
            #expect(String(decoding: room.prefix(count), as: UTF8.self) == "content")
            close(descriptor)
        }
        if case .nothing = theirs.receive() {} else { Issue.record("there is nothing more") }
    }

    @Test func `as many descriptors as the kernel takes go with a message`() throws {
        let (ours, theirs) = try pair()
        let all = [Int32](repeating: 0, count: MessageChannel.descriptorLimit)
        #expect(ours.send([1], descriptors: all) == .sent)
        guard case .message(_, let descriptors) = theirs.receive() else {
            Issue.record("no message")
            return
        }
        #expect(descriptors.count == all.count)
        for descriptor in descriptors { close(descriptor) }
    }

    @Test func `the last message is received, even from a process that no longer reads`() throws {
        let (ours, theirs) = try pair()
        #expect(ours.send(Array("unread".utf8)) == .sent)
        do {
            let ending = theirs
            #expect(ending.send(Array("last".utf8)) == .sent)
            #expect(shutdown(ending.descriptor, Int32(SHUT_RD)) == 0)
        }
        #expect(text(ours.receive()) == "last")
    }

    @Test func `the end of the other side is known, and waited for no longer than asked`() throws {
        let (ours, theirs) = try pair()
        #expect(!ours.hasEnded(waitingMilliseconds: 1))
        if case .nothing = ours.receive(until: MonotonicClock.milliseconds() + 5) {
        } else {
            Issue.record("nothing was said")
        }
        shutdown(theirs.descriptor, Int32(SHUT_RDWR))
        if case .ended = ours.receive(until: MonotonicClock.milliseconds() + 60_000) {
        } else {
            Issue.record("it has ended")
        }
        #expect(ours.send([1]) == .gone)
    }

    @Test func `a full queue is no end`() throws {
        let (ours, theirs) = try pair()
        let piece = [UInt8](repeating: 7, count: 30_000)
        var count = 0
        while ours.send(piece) == .sent { count += 1 }
        #expect(count > 0)
        #expect(ours.send(piece, until: MonotonicClock.milliseconds() + 5) == .full)
        _ = theirs.receive()
        #expect(ours.send(piece, until: MonotonicClock.milliseconds() + 60_000) == .sent)
    }

    @Test func `a door is for one user, and replaced by the next of its name`() throws {
        var template = Array("/tmp/holdfast-door-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!) }
        let directory = String(cString: try #require(made))
        defer { rmdir(directory) }
        let first = try MessageDoor(in: directory, named: "door")
        var info = stat()
        #expect(stat(directory + "/door", &info) == 0 && info.st_mode & 0o777 == 0o600)
        let second = try MessageDoor(in: directory, named: "door")
        first.removePath()
        let channel = try #require(MessageDoor.connect(in: directory, named: "door"))
        #expect(channel.user == geteuid() && channel.process == getpid())
        let accepted = try #require(second.accept())
        #expect(accepted.user == geteuid())
        #expect(channel.send(Array("hello".utf8)) == .sent)
        #expect(text(accepted.receive()) == "hello")
        second.removePath()
        #expect(MessageDoor.connect(in: directory, named: "door") == nil)
    }
}
