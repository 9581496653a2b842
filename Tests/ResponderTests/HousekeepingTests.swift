import Channels
import Configuration
import Glibc
import Harness
import System
import Testing

@testable import Responder

@Suite struct `What the loop looks after` {
    @Test func `peers are looked at four times a second`() {
        var housekeeping = Housekeeping()
        #expect(housekeeping.dueAt == 0)
        housekeeping.looked(now: 1000)
        #expect(housekeeping.dueAt == 1250)
    }

    @Test func `memory is returned two seconds after the first of it became free`() {
        var housekeeping = Housekeeping()
        #expect(housekeeping.memoryAlarm == .max)
        housekeeping.freed(now: 1000)
        housekeeping.freed(now: 2500)
        #expect(housekeeping.memoryAlarm == 3000)
        housekeeping.giveBack(now: 2999)
        #expect(housekeeping.memoryAlarm == 3000)
        housekeeping.giveBack(now: 3000)
        #expect(housekeeping.memoryAlarm == .max)
        housekeeping.freed(now: 4000)
        #expect(housekeeping.memoryAlarm == 6000)
    }

    @Test func `the readings of the process are its own`() {
        let before = SystemClock.wallMilliseconds()
        let readings = ProcessReadings.now(uptimeMilliseconds: 5000)
        let after = SystemClock.wallMilliseconds()
        #expect((before - 5000...after - 5000).contains(readings.startedAtMilliseconds))
        #expect(readings.residentBytes > 0 && readings.virtualBytes >= readings.residentBytes)
        #expect(readings.cpuMicroseconds > 0 && readings.descriptorLimit > 0)
        // Before Linux 6.2 nobody counts them.
        #expect(readings.openDescriptors == -1 || readings.openDescriptors >= 3)
    }

    @Test func `with a spare descriptor, a connection is turned away at once`() throws {
        let directory = try TestDirectory()
        let listener = try Listener(
            {
                var settings = FastCGISettings()
                settings.listen = .unix(path: directory.file("web.sock"))
                return settings
            }()
        )
        var spare = SpareDescriptor()
        for _ in 0..<2 {
            let client = OwnedDescriptor(
                try #require(Sockets.connect(unix: directory.file("web.sock")))
            )
            let isTurnedAway = spare.turnAway(from: listener.descriptor)
            #expect(isTurnedAway)
            var byte: UInt8 = 0
            #expect(read(client.number, &byte, 1) == 0)
        }
        // Nobody waits any more: it is kept.
        let isKept = spare.turnAway(from: listener.descriptor)
        #expect(isKept)
    }
}

@Suite struct `Who may connect to a socket` {
    private let directory: TestDirectory
    private let path: String

    init() throws {
        directory = try TestDirectory()
        path = directory.file("a.sock")
    }

    private func web(_ change: (inout FastCGISettings) -> Void = { _ in }) -> UnixPlace {
        var settings = FastCGISettings()
        change(&settings)
        return UnixPlace(path, settings)
    }

    private func info() -> stat {
        var info = stat()
        _ = lstat(path, &info)
        return info
    }

    private func make() throws {
        let file = open(path, O_CREAT | O_RDWR, 0o777)
        try #require(file >= 0)
        close(file)
    }

    private func refusal(_ place: UnixPlace) -> String {
        do throws(ListenerError) {
            try place.admit()
            return ""
        } catch {
            return error.description
        }
    }

    @Test func `the path has the mode of the ini file, whatever it had`() throws {
        try make()
        #expect(refusal(web { $0.mode = 0o604 }) == "" && info().st_mode & 0o777 == 0o604)
    }

    @Test func `the bus has its own mode and key, and the group of the process`() throws {
        try make()
        var settings = BusSettings()
        settings.socketMode = 0o620
        let place = UnixPlace(path, settings)
        #expect(refusal(place) == "" && info().st_mode & 0o777 == 0o620)
        #expect(info().st_gid == getegid() && !place.isOfDirectory && web().isOfDirectory)
        #expect(place.key == Listener.busKey && web().key == Listener.key)
    }

    @Test func `a group is named where it cannot be given`() throws {
        try make()
        let sentence = refusal(web { $0.group = "no-such-group" })
        #expect(sentence.contains("the group no-such-group: no such group"))
        #expect(sentence.contains(Listener.key))
    }

    @Test func `a path that is gone is named`() {
        #expect(refusal(web()).contains(path))
    }
}
