import Bus
import Channels
import Foundation
import SeededRandom
import Synchronization
import Testing

/// The helper executable beside the test bundle, as a process that can be killed.
final class WriterProcess {
    let process = Process()
    private let output = Pipe()
    private var rest = ""

    init(_ arguments: String...) throws {
        process.executableURL = Self.executable
        process.arguments = arguments
        process.standardOutput = output
        try process.run()
    }

    private static var executable: URL? {
        let places = [
            Bundle.main.bundleURL,
            URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent(),
        ]
        return places.map { $0.appendingPathComponent("BusWriter") }.first {
            FileManager.default.isExecutableFile(atPath: $0.path)
        }
    }

    /// The next line, or nil when the process has ended and said all.
    func line() -> String? {
        while true {
            if let end = rest.firstIndex(of: "\n") {
                let line = String(rest[..<end])
                rest = String(rest[rest.index(after: end)...])
                return line
            }
            let data = output.fileHandleForReading.availableData
            if data.isEmpty { return nil }
            rest += String(decoding: data, as: UTF8.self)
        }
    }

    /// Kills it as nothing else could, and returns what it had acknowledged.
    func killAndDrain() -> [String] {
        kill(process.processIdentifier, SIGKILL)
        var lines: [String] = []
        while let line = line() { lines.append(line) }
        process.waitUntilExit()
        return lines
    }
}

extension Thread {
    /// Starts it as a member of the group, which it leaves itself.
    fileprivate func start(entering group: DispatchGroup) {
        group.enter()
        start()
    }
}

@Suite struct ManyProcessesTests {
    @Test func `after kill -9 everything acknowledged is there, in the same epoch`() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/bus"
        var acknowledged: [String: String] = [:]
        var epochs: Set<String> = []
        var next = 0
        for round in 0..<6 {
            let writer = try WriterProcess("append", path, "a", String(next), "0")
            var lines: [String] = []
            for _ in 0..<20 + round * 37 { lines.append(try #require(writer.line())) }
            lines += writer.killAndDrain()
            for line in lines {
                let words = line.split(separator: " ").map(String.init)
                switch words[0] {
                case "opened": epochs.insert(words[1])
                case "ok":
                    acknowledged[words[1]] = words[2]
                    next = max(next, Int(words[2])! + 1)
                default: Issue.record("\(line)")
                }
            }
        }
        #expect(epochs.count == 1)
        let probe = LogProbe(settings(directory), retention: keep(count: 1_000_000))
        #expect(probe.now.epochs?.stretches.map(\.epoch.name) == Array(epochs))
        let reading = probe.read(["a"], .after(.start), limit: 1_000_000)
        #expect(reading.gap == nil)
        var found: [String: String] = [:]
        for message in reading.messages { found[message.id.description] = message.text }
        for (id, text) in acknowledged where found[id] != text {
            Issue.record("acknowledged \(id) = \(text), found \(found[id] ?? "nothing")")
        }
        #expect(acknowledged.count > 200)
        probe.stop()
        #expect(try integrity(path) == "ok")
        #expect(try countsAgree(path))
    }

    @Test func `one of several writers is killed, and the others lose and miss nothing`() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/bus"
        let probe = LogProbe(settings(directory), retention: keep(count: 1_000_000))
        let steady = try WriterProcess("append", path, "steady", "0", "400")
        let doomed = try WriterProcess("append", path, "doomed", "0", "0")
        var mine: [String] = []
        for number in 0..<300 {
            if let id = probe.append(draft("mine", "\(number)")).id { mine.append(id.description) }
            if number == 150 {
                for _ in 0..<50 { _ = doomed.line() }
                kill(doomed.process.processIdentifier, SIGKILL)
            }
        }
        let killed = doomed.killAndDrain()
        var told: [String] = []
        while let line = steady.line() { told.append(line) }
        steady.process.waitUntilExit()
        #expect(steady.process.terminationStatus == 0)
        let newest = probe.append(draft("mine", "end")).id!
        #expect(probe.now.head >= newest.offset)
        // What waits in this process was told everything that any of them committed, once and in order.
        let live = probe.now.live
        #expect(probe.now.missed == [])
        #expect(live.map(\.offset.value) == Array(1...newest.offset.value))
        #expect(
            live.filter { $0.channel.text == "steady" }.map(\.text) == (0..<400).map { "\($0)" }
        )
        #expect(live.filter { $0.channel.text == "mine" }.count == 301)
        let ids = Set(live.map(\.id.description))
        for line in told + killed where line.hasPrefix("ok ") {
            #expect(ids.contains(String(line.split(separator: " ")[1])))
        }
        #expect(probe.now.opened.count == 1)
        probe.stop()
        #expect(try integrity(path) == "ok")
        #expect(try countsAgree(path))
    }

    @Test
    func `four writers are killed at random, and nothing acknowledged is missing`() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/bus"
        // They are told while they live: a reader for each, so that none stops because its output is not read.
        let told = Mutex<[String: String]>([:])
        let done = DispatchGroup()
        for index in 0..<4 {
            Thread {
                var next = 0
                var random = SplitMix64(seed: UInt64(index))
                for _ in 1...10 {
                    guard
                        let writer = try? WriterProcess("append", path, "w\(index)", "\(next)", "0")
                    else {
                        Issue.record("writer \(index) cannot be started")
                        break
                    }
                    var lines: [String] = []
                    for _ in 0..<Int.random(in: 1...300, using: &random) {
                        guard let line = writer.line() else { break }
                        lines.append(line)
                    }
                    lines += writer.killAndDrain()
                    for line in lines {
                        let words = line.split(separator: " ").map(String.init)
                        guard words[0] == "ok" else { continue }
                        told.withLock { $0[words[1]] = "w\(index) \(words[2])" }
                        next = max(next, Int(words[2])! + 1)
                    }
                }
                done.leave()
            }.start(entering: done)
        }
        done.wait()
        let acknowledged = told.withLock { $0 }
        // Each of the forty was killed after lines of its own, one of which says that the log is open.
        #expect(acknowledged.count > 1000)
        let probe = LogProbe(settings(directory), retention: keep(count: 10_000_000))
        #expect(probe.now.epochs?.stretches.count == 1)
        var found: [String: String] = [:]
        for index in 0..<4 {
            let reading = probe.read(
                ["w\(index)"],
                .after(.start),
                limit: 10_000_000,
                bytes: 1 << 30
            )
            #expect(reading.gap == nil)
            for message in reading.messages {
                found[message.id.description] = "\(message.channel) \(message.text)"
            }
        }
        let missing = acknowledged.filter { found[$0.key] != $0.value }
        #expect(missing.isEmpty, "\(missing.prefix(5)) of \(acknowledged.count)")
        probe.stop()
        #expect(try integrity(path) == "ok")
        #expect(try countsAgree(path))
    }

    @Test func `two logs on one directory report the same, whichever appended`() {
        let directory = TemporaryDirectory()
        let settings = settings(directory)
        let probes = (0..<2).map { _ in LogProbe(settings, retention: keep(count: 100_000)) }
        let threads = probes.enumerated().map { index, probe in
            let thread = Thread {
                for number in 0..<300 {
                    probe.send((0...number % 3).map { draft("c\($0)", "\(index)/\(number)") })
                    if number % 50 == 0 { probe.append(draft("sync", "\(index)/\(number)")) }
                }
                probe.append(draft("end", "\(index)"))
            }
            thread.start()
            return thread
        }
        for probe in probes {
            probe.wait("both ends") { $0.live.filter { $0.channel.text == "end" }.count == 2 }
        }
        for probe in probes {
            let head = probe.now.head
            for other in probes { other.wait("head \(head)") { $0.head >= head } }
        }
        #expect(threads.count == 2)
        let lives = probes.map { $0.now.live.map { "\($0.id) \($0.text)" } }
        #expect(lives[0] == lives[1])
        #expect(lives[0].count == 2 * (600 + 6 + 1))
        for probe in probes { probe.stop() }
        #expect(try! integrity(directory.path + "/bus") == "ok")
    }

    @Test
    func `a message trimmed before a slower process saw it is a gap for requests that wait there`()
    {
        let directory = TemporaryDirectory()
        let settings = settings(directory)
        let slow = LogProbe(settings, retention: keep(count: 2))
        slow.append(draft("a", "seen"))
        let fast = LogProbe(settings, retention: keep(count: 2))
        // One transaction: no process can read in between.
        _ = fast.outcome(of: fast.send((1...20).map { draft("a", "\($0)") }))
        slow.wait("followed") { $0.head == Offset(21) }
        #expect(slow.now.live.map(\.text) == ["seen", "19", "20"])
        #expect(slow.now.missed.map(\.through) == [Offset(19)])
        #expect(fast.now.missed == [])
        slow.stop()
        fast.stop()
    }

    @Test func `a process's own messages reach requests that wait there, even if trimmed at once`()
    {
        let directory = TemporaryDirectory()
        let settings = settings(directory)
        let probes = (0..<2).map { _ in LogProbe(settings, retention: keep(count: 1)) }
        let done = DispatchGroup()
        for (index, probe) in probes.enumerated() {
            done.enter()
            Thread {
                for number in 0..<400 {
                    probe.send((0..<3).map { draft("own\(index)", "\(number)/\($0)") })
                    if number % 20 == 0 { _ = probe.read(["own\(index)"], .last(1)) }
                }
                probe.append(draft("end\(index)", "end"))
                done.leave()
            }.start()
        }
        done.wait()
        for (index, probe) in probes.enumerated() {
            let own = probe.now.live.filter { $0.channel.text == "own\(index)" }.map(\.text)
            #expect(own == (0..<400).flatMap { number in (0..<3).map { "\(number)/\($0)" } })
            #expect(probe.now.missed.allSatisfy { $0.channel.text != "own\(index)" })
            probe.stop()
        }
    }

    @Test func `a process stuck inside the gate stops publishers, and no reader`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "before"))
        let stuck = open(directory.path + "/bus", O_RDONLY | O_DIRECTORY)
        #expect(flock(stuck, LOCK_EX) == 0)
        let ticket = probe.send([draft("a", "behind")])
        #expect(probe.read(["a"], .first).messages.map(\.text) == ["before"])
        #expect(probe.now.outcomes[ticket] == nil)
        #expect(!probe.log.stop(patienceMilliseconds: 50))
        close(stuck)
        #expect(probe.outcome(of: ticket).id?.offset == Offset(2))
    }

    @Test func `history shows what another process committed, and tells it first`() {
        let directory = TemporaryDirectory()
        let settings = settings(directory)
        let reader = LogProbe(settings)
        let writer = LogProbe(settings)
        for number in 1...50 {
            let id = writer.append(draft("a", "\(number)")).id!
            let reading = reader.read(["a"], .after(Offset(Int64(number - 1))))
            #expect(reading.messages.map(\.id) == [id])
            #expect(reader.now.head >= id.offset)
        }
        reader.stop()
        writer.stop()
    }

    @Test func `a log replaced while two processes run is continued by both under one epoch`()
        throws
    {
        let directory = TemporaryDirectory()
        let settings = settings(directory)
        let probes = [LogProbe(settings), LogProbe(settings)]
        probes[0].append(draft("a", "old"))
        try FileManager.default.removeItem(atPath: directory.path + "/bus/log.sqlite")
        let first = probes[0].append(draft("a", "new 0")).id!
        let second = probes[1].append(draft("a", "new 1")).id!
        #expect(first.epoch == second.epoch)
        #expect([first.offset, second.offset] == [Offset(1), Offset(2)])
        probes[0].wait("told") { $0.head == Offset(2) }
        #expect(probes[1].read(["a"], .first).messages.map(\.text) == ["new 0", "new 1"])
        for probe in probes { probe.stop() }
        #expect(try integrity(directory.path + "/bus") == "ok")
    }
}
