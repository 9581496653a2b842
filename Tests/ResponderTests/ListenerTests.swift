import Configuration
import Glibc
import Harness
import Reactor
import System
import Testing

@testable import Responder

@Suite struct `Where web servers connect` {
    private let directory: TestDirectory
    private let path: String

    init() throws {
        directory = try TestDirectory()
        path = directory.file("web.sock")
    }

    private func settings(_ listen: FastCGISettings.Listen? = nil) -> FastCGISettings {
        var settings = FastCGISettings()
        settings.listen = listen ?? .unix(path: path)
        return settings
    }

    private func mode(_ path: String) -> UInt32 {
        var info = stat()
        return lstat(path, &info) == 0 ? info.st_mode & 0o777 : 0
    }

    /// Why there is no listener; empty if there is one.
    private func refusal(_ listen: FastCGISettings.Listen? = nil) -> String {
        do throws(ListenerError) {
            _ = try Listener(settings(listen))
            return ""
        } catch {
            return error.description
        }
    }

    @Test func `a socket has its mode, takes connections, and its path goes with it`() throws {
        let listener = try Listener(settings())
        #expect(listener.isOpen && listener.isInPlace && mode(path) == 0o660)
        #expect(listener.address == .unix(path: path) && mode(path + ".lock") == 0o600)
        let client = try #require(Sockets.connect(unix: path))
        close(client)
        listener.close()
        #expect(!listener.isOpen && listener.descriptor == -1)
        listener.removePath()
        #expect(access(path, F_OK) != 0)
    }

    @Test func `a second process says that the address is in use, and steals nothing`() throws {
        let first = try Listener(settings())
        #expect(refusal().contains("another holdfast running"))
        #expect(first.isInPlace)
        // Another program holds no lock of ours.
        unlink(path + ".lock")
        #expect(refusal().contains("in use") && first.isInPlace)
    }

    @Test func `what a killed process left is replaced`() throws {
        do {
            let killed = try Listener(settings())
            killed.close()
        }
        #expect(access(path, F_OK) == 0 && Sockets.connect(unix: path) == nil)
        let next = try Listener(settings())
        #expect(next.isInPlace)
    }

    @Test func `what is no socket stays where it is`() throws {
        try directory.write("mine", to: "web.sock")
        #expect(refusal().contains("not a socket"))
        #expect(mode(path) != 0)
    }

    @Test func `a path that another process has replaced is not removed`() throws {
        let old = try Listener(settings())
        unlink(path)
        try directory.write("another's", to: "web.sock")
        #expect(!old.isInPlace)
        old.removePath()
        #expect(access(path, F_OK) == 0)
    }

    @Test func `a path that is too long for a socket is said to be`() {
        let long = directory.file(String(repeating: "x", count: 120))
        #expect(refusal(.unix(path: long)).contains("at most 107 bytes"))
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    func `a TCP socket listens where it was told to`(address: String) throws {
        let listener = try Listener(settings(.tcp(address: address, port: 0)))
        guard case .tcp(address, let port)? = listener.address else {
            Issue.record("it listens on \(listener.address.debugDescription)")
            return
        }
        let client = try #require(Sockets.connect(address, port))
        close(client)
        #expect(refusal(.tcp(address: address, port: port)).contains("in use"))
    }

    @Test(arguments: [("1.2.3", "IPv4"), ("1:2", "IPv6")])
    func `what is no address is said to be none`(address: String, kind: String) {
        #expect(refusal(.tcp(address: address, port: 80)) == "\(address) is not an \(kind) address")
    }

    @Test func `only addresses of this machine may be listened on`() throws {
        for place in ["127.0.0.1", "127.9.9.9", "::1"] {
            try Listener.requireLoopback(.tcp(address: place, port: 1), "it")
        }
        try Listener.requireLoopback(.unix(path: "/x"), "it")
        for place in ["0.0.0.0", "10.0.0.1", "::"] {
            #expect(throws: ListenerError.self) {
                try Listener.requireLoopback(.tcp(address: place, port: 1), "it")
            }
        }
    }

    @Test func `what is handed over listens on, and its path goes with the newer process`() throws {
        let older = try Listener(settings())
        let (value, numbers) = older.handed
        #expect(value.hasLock && numbers.count == 2)
        let copies = numbers.map { fcntl($0, F_DUPFD_CLOEXEC, 64) }
        let newer = Listener(
            value,
            socket: OwnedDescriptor(copies[0]),
            lock: OwnedDescriptor(copies[1])
        )
        older.letGo()
        older.removePath()
        #expect(newer.isInPlace && refusal().contains("in use"))
        var wanted = settings()
        wanted.mode = 0o600
        try newer.agree(with: wanted)
        #expect(mode(path) == 0o600)
        newer.removePath()
        #expect(access(path, F_OK) != 0)
    }
}

@Suite struct `When connections are accepted` {
    private let directory: TestDirectory
    private let epoll: Epoll
    private var entrance: Entrance
    private let path: String

    init() throws {
        directory = try TestDirectory()
        path = directory.file("web.sock")
        epoll = try Epoll()
        var settings = FastCGISettings()
        settings.listen = .unix(path: path)
        entrance = Entrance(
            try Listener(settings),
            epoll: epoll,
            logger: RecordedLog().logger,
            now: 1000
        )
    }

    /// Whether the loop hears of one who connects.
    private func isHeard() throws -> Bool {
        let client = try #require(Sockets.connect(unix: path))
        defer { close(client) }
        return try epoll.wait(milliseconds: 0) > 0
    }

    @Test mutating func `nobody is accepted before the log is open, unless that takes long`() throws
    {
        #expect(entrance.alarm == 6000)
        entrance.open(now: 5999)
        #expect(!entrance.isAccepting)
        #expect(try !isHeard())
        entrance.open(now: 6000)
        #expect(entrance.isAccepting && entrance.alarm == .max)
        #expect(try isHeard())
    }

    @Test mutating func `an open log opens it at once`() throws {
        entrance.logOpened()
        #expect(entrance.alarm <= 1000)
        entrance.open(now: 1000)
        #expect(try isHeard())
    }

    @Test mutating func `where all places are taken, newcomers wait until one is free`() throws {
        entrance.logOpened()
        entrance.open(now: 1000)
        entrance.waitForPlaces()
        #expect(entrance.isCrowded && !entrance.isAccepting)
        #expect(try !isHeard())
        // Due as soon as there is a place: whether there is one is the loop's to say.
        #expect(entrance.alarm <= 1000)
        entrance.open(now: 1001)
        #expect(!entrance.isCrowded && entrance.isAccepting)
    }

    @Test mutating func `without descriptors it pauses for a moment`() throws {
        entrance.logOpened()
        entrance.open(now: 1000)
        entrance.waitAMoment(now: 1000)
        #expect(entrance.alarm == 1250 && !entrance.isCrowded)
        entrance.open(now: 1249)
        #expect(!entrance.isAccepting)
        entrance.open(now: 1250)
        #expect(entrance.isAccepting)
    }

    @Test mutating func `a closed one is never due`() {
        entrance.logOpened()
        entrance.open(now: 1000)
        entrance.waitForPlaces()
        entrance.close()
        #expect(entrance.alarm == .max && !entrance.isCrowded && !entrance.isAccepting)
        #expect(Sockets.connect(unix: path) == nil)
        entrance.removePath()
        #expect(access(path, F_OK) != 0)
    }
}
