import Channels
import Glibc
import Harness
import Reactor
import System
import Testing

@testable import Responder

@Suite struct `The door for a newer process` {
    private let directory: TestDirectory
    private let log = RecordedLog()
    private let settings: BusSettings
    private let service: HandOverService
    private let name = HandOverService.name("/run/web.sock")

    init() throws {
        directory = try TestDirectory()
        var settings = BusSettings()
        settings.directory = directory.path
        self.settings = settings
        service = HandOverService(epoll: try Epoll(), logger: log.logger)
    }

    private func open() { service.open(settings, listen: "/run/web.sock") }

    private func knock() -> MessageChannel? {
        MessageDoor.connect(in: directory.path, named: name)
    }

    private func welcome(now: Int64 = 0, _ refusal: String? = nil) {
        service.welcomeAll(user: geteuid(), now: now) { _ in refusal }
    }

    /// What the newer process is told.
    private func heard(by channel: MessageChannel) -> HandOverMessage? {
        guard case .message(let bytes, _) = channel.receive() else { return nil }
        return try? HandOverMessage(bytes)
    }

    private let hello = HandOverMessage.hello(formats: [1], release: "9")

    @Test func `nothing is due while no process may take over`() {
        #expect(service.alarm == .max && service.doorDescriptor == -1 && service.mayStart)
        // A socket that was inherited cannot be handed over.
        service.open(settings, listen: nil)
        #expect(service.alarm == .max && knock() == nil)
    }

    @Test func `who knocks has ten seconds to say hello, and a minute from there`() throws {
        open()
        let newer = try #require(knock())
        welcome(now: 100)
        #expect(service.isTalking && !service.mayStart && !service.isGreeted)
        #expect(service.deadline == 10_100 && service.alarm == 10_100)
        #expect(service.next() == nil)
        _ = newer.send(hello.bytes)
        guard case .success(hello)? = service.next() else {
            Issue.record("hello was not heard")
            return
        }
        service.greet(.yours, now: 200)
        #expect(service.isGreeted && service.alarm == 60_200 && heard(by: newer) == .yours)
        service.hangUp()
        #expect(!service.isTalking && service.deadline == .max && service.mayStart)
    }

    @Test func `one that may not take over is told why`() throws {
        open()
        let newer = try #require(knock())
        welcome("this process stops")
        #expect(!service.isTalking && heard(by: newer) == .refused("this process stops"))
    }

    @Test func `a process of another user is sent away`() throws {
        open()
        let newer = try #require(knock())
        service.welcomeAll(user: geteuid() + 1, now: 0) { _ in nil }
        #expect(!service.isTalking && log.take().count == 1)
        guard case .refused? = heard(by: newer) else {
            Issue.record("it was not told")
            return
        }
    }

    @Test func `the end of the other one, and nonsense, end the talk`() throws {
        open()
        do {
            let newer = try #require(knock())
            welcome()
            _ = newer.send([0xFF])
            guard case .failure(.notUnderstood)? = service.next() else {
                Issue.record("it was understood")
                return
            }
        }
        guard case .failure(.left)? = service.next() else {
            Issue.record("it was thought to be there")
            return
        }
    }

    @Test func `a door that was taken away was not made again while the loop had nothing to do`() {
        open()
        // Due by itself, before a process that asks gives up, which takes six seconds.
        #expect(service.alarm <= 0)
        service.lookAfter(settings, listen: "/run/web.sock", now: 50)
        #expect(service.alarm == 2050)
        unlink(directory.file(name))
        #expect(knock() == nil)
        service.lookAfter(settings, listen: "/run/web.sock", now: 2049)
        #expect(knock() == nil)
        service.lookAfter(settings, listen: "/run/web.sock", now: 2050)
        #expect(knock() != nil)
    }

    @Test func `a door that cannot be made is reported once`() {
        var nowhere = settings
        nowhere.directory = directory.file("missing")
        for now: Int64 in [0, 2000, 4000] {
            service.open(nowhere, listen: "/run/web.sock")
            service.lookAfter(nowhere, listen: "/run/web.sock", now: now)
        }
        #expect(log.take().count == 1 && service.alarm == 6000)
    }

    @Test func `a process that stops takes its door away`() {
        open()
        service.close()
        #expect(knock() == nil && access(directory.file(name), F_OK) != 0)
        #expect(service.alarm == .max)
    }

    @Test func `a successor that does not take over is looked after until it has ended`() throws {
        let successor = Successor(program: "/bin/true", arguments: [], environment: [])
        try service.start(successor, now: 0)
        #expect(service.isTalking && service.isChild && service.alarm == 10_000)
        service.hangUp()
        #expect(!service.mayStart && service.alarm <= 0)
        var now: Int64 = 0
        try waitUntil("the successor is reaped") {
            service.reap(now: now)
            now = service.alarm
            return service.mayStart
        }
        #expect(service.alarm == .max)
        #expect(log.take().map { $0.hasPrefix("notice: the new program has ended") } == [true])
    }
}
