import Channels
import Foundation
import Harness
import Testing

@testable import Bus

/// The log's files, taken away, copied or moved: nothing that was acknowledged is lost without a word.
@Suite struct LogFilesTests {
    private let files = FileManager.default

    private func bus(_ directory: TemporaryDirectory) -> String { directory.path + "/bus" }

    private func texts(_ probe: LogProbe) -> [String] {
        probe.read(["a"], .first).messages.map(\.text)
    }

    /// A log whose newest messages are in the write-ahead log alone, as after kill -9.
    private func killed(_ directory: TemporaryDirectory, messages: Int) throws -> [String] {
        let writer = try WriterProcess("hold", bus(directory), "a", "0", "\(messages)")
        for _ in 0...messages { _ = try #require(writer.line()) }
        _ = writer.killAndDrain()
        return (0..<messages).map(String.init)
    }

    @Test(arguments: [["-wal"], ["-shm"], ["-wal", "-shm"]])
    func `files removed under the running process cost nothing that was acknowledged`(
        suffixes: [String]
    ) throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        for number in 0..<20 { probe.append(draft("a", "\(number)")) }
        for suffix in suffixes {
            try files.removeItem(atPath: bus(directory) + "/log.sqlite\(suffix)")
        }
        for number in 20..<40 { #expect(probe.append(draft("a", "\(number)")).id != nil) }
        #expect(texts(probe) == (0..<40).map(String.init))
        #expect(probe.now.opened.count == 2)
        #expect(probe.now.epochs?.stretches.count == 1)
        #expect(probe.now.notices.contains { $0.contains("removed or replaced") })
        probe.stop()
        let again = LogProbe(settings(directory))
        #expect(texts(again) == (0..<40).map(String.init))
        #expect(again.now.epochs?.stretches.count == 1)
        again.stop()
        #expect(try integrity(bus(directory)) == "ok")
    }

    @Test func `a publisher that came before a removed log was saved was refused`()
        throws
    {
        let directory = TemporaryDirectory()
        let writer = try WriterProcess("hold", bus(directory), "a", "0", "20")
        defer { _ = writer.killAndDrain() }
        for _ in 0...20 { _ = try #require(writer.line()) }
        try Gate.stopOutside(bus(directory), process: writer.process.processIdentifier)
        for suffix in ["-wal", "-shm"] {
            try files.removeItem(atPath: bus(directory) + "/log.sqlite\(suffix)")
        }
        let probe = LogProbe(settings(directory), start: false)
        probe.log.start()
        let ticket = probe.send([draft("a", "20")])
        try eventually("it has looked for the log") {
            files.fileExists(atPath: bus(directory) + "/log.sqlite-wal")
        }
        kill(writer.process.processIdentifier, SIGCONT)
        #expect(probe.outcome(of: ticket).id?.offset == Offset(21))
        #expect(texts(probe) == (0...20).map(String.init))
        #expect(probe.now.epochs?.stretches.count == 1)
        probe.stop()
    }

    @Test func `a publisher is answered although no process saves a removed log`() throws {
        let directory = TemporaryDirectory()
        let writer = try WriterProcess("hold", bus(directory), "a", "0", "20")
        for _ in 0...20 { _ = try #require(writer.line()) }
        _ = writer.killAndDrain()
        for suffix in ["-wal", "-shm"] {
            try files.removeItem(atPath: bus(directory) + "/log.sqlite\(suffix)")
        }
        let probe = LogProbe(settings(directory), start: false)
        probe.log.start()
        let outcome = probe.outcome(of: probe.send([draft("a", "new")]))
        #expect(outcome.id?.epoch == probe.now.epochs?.current)
        #expect(probe.now.epochs?.stretches.count == 2)
        probe.stop()
    }

    @Test func `files removed while nothing is published are noticed, too`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "1"))
        try files.removeItem(atPath: bus(directory) + "/log.sqlite-wal")
        probe.wait("opened anew") { $0.opened.count == 2 }
        #expect(texts(probe) == ["1"])
        probe.stop()
    }

    @Test func `a log moved away under the running process lost its newest messages`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        for number in 0..<20 { probe.append(draft("a", "\(number)")) }
        let moved = directory.path + "/moved"
        try files.createDirectory(atPath: moved, withIntermediateDirectories: false)
        try files.moveItem(atPath: bus(directory) + "/log.sqlite", toPath: moved + "/log.sqlite")
        #expect(probe.append(draft("a", "new")).id?.offset == Offset(1))
        #expect(try rowCount("messages", moved) == 20)
        #expect(try integrity(moved) == "ok")
        #expect(texts(probe) == ["new"])
        probe.stop()
    }

    @Test func `a write-ahead log whose log is gone is kept under another name`() throws {
        let directory = TemporaryDirectory()
        let texts = try killed(directory, messages: 20)
        let moved = directory.path + "/moved"
        try files.createDirectory(atPath: moved, withIntermediateDirectories: false)
        try files.moveItem(atPath: bus(directory) + "/log.sqlite", toPath: moved + "/log.sqlite")
        let probe = LogProbe(settings(directory))
        #expect(probe.append(draft("a", "new")).id?.offset == Offset(1))
        let kept = bus(directory) + "/log.sqlite-wal.orphaned-1"
        #expect(probe.now.notices.contains { $0.contains("log.sqlite-wal.orphaned-1") })
        probe.stop()
        // Both together are the old log.
        try files.moveItem(atPath: kept, toPath: moved + "/log.sqlite-wal")
        #expect(try rowCount("messages", moved) == texts.count)
    }

    @Test func `no more than three write-ahead logs without a log are kept, and none is deleted`()
        throws
    {
        let directory = TemporaryDirectory()
        for number in 1...4 {
            _ = try killed(directory, messages: 3)
            try files.removeItem(atPath: bus(directory) + "/log.sqlite")
            guard number == 4 else {
                LogProbe(settings(directory)).stop()
                continue
            }
            let probe = LogProbe(settings(directory))
            #expect(probe.now.unavailable.first?.contains("three such files") == true)
            probe.stop()
            #expect(files.fileExists(atPath: bus(directory) + "/log.sqlite-wal"))
        }
    }

    @Test func `a copied directory whose files had the old ones' numbers lost its newest messages`()
        throws
    {
        let directory = TemporaryDirectory()
        let texts = try killed(directory, messages: 50)
        let copy = TemporaryDirectory()
        try files.createDirectory(atPath: bus(copy), withIntermediateDirectories: false)
        for name in ["log.sqlite", "log.sqlite-wal", "wake"] {
            try files.copyItem(
                atPath: bus(directory) + "/" + name,
                toPath: bus(copy) + "/" + name
            )
        }
        // As chance will have it: the copied write-ahead log is what the copied witness calls the old log's.
        let number = try #require(FileIdentity(path: bus(copy) + "/log.sqlite-wal"))
        let wake = try FileHandle(forUpdating: URL(fileURLWithPath: bus(copy) + "/wake"))
        try wake.seek(toOffset: 72)
        for word in [number.device, number.inode, UInt64(bitPattern: number.birth)] {
            try wake.write(contentsOf: withUnsafeBytes(of: word) { Data($0) })
        }
        try wake.close()

        let probe = LogProbe(settings(copy))
        #expect(self.texts(probe) == texts)
        #expect(probe.now.epochs?.stretches.count == 2)
        #expect(probe.now.notices.contains { $0.contains("is a copy") })
        probe.stop()
    }

    @Test func `an older log put in place beside the write-ahead log of a newer one is not ruined`()
        throws
    {
        let directory = TemporaryDirectory()
        let first = LogProbe(settings(directory))
        first.append(draft("a", "1"))
        first.stop()
        try files.copyItem(
            atPath: bus(directory) + "/log.sqlite",
            toPath: directory.path + "/backup"
        )
        let newer = try killed(directory, messages: 200)
        #expect(newer.count >= 200)
        // Most file systems give the number of the removed file to the new one.
        try files.removeItem(atPath: bus(directory) + "/log.sqlite")
        try files.copyItem(
            atPath: directory.path + "/backup",
            toPath: bus(directory) + "/log.sqlite"
        )
        let probe = LogProbe(settings(directory))
        #expect(texts(probe) == ["1"])
        #expect(probe.now.notices.contains { $0.contains("orphaned-1") })
        #expect(probe.append(draft("a", "2")).id != nil)
        probe.stop()
        #expect(try integrity(bus(directory)) == "ok")
        #expect(try countsAgree(bus(directory)))
    }

    // MARK: The end

    @Test func `log.sqlite alone is complete after an orderly end`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        for number in 0..<20 { probe.append(draft("a", "\(number)")) }
        probe.stop()
        let elsewhere = directory.path + "/copy"
        try files.createDirectory(atPath: elsewhere, withIntermediateDirectories: false)
        try files.copyItem(
            atPath: bus(directory) + "/log.sqlite",
            toPath: elsewhere + "/log.sqlite"
        )
        #expect(try rowCount("messages", elsewhere) == 20)
        #expect(!probe.now.notices.contains { $0.contains("not complete") })
    }

    @Test func `an end that left messages in the write-ahead log said nothing`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "1"))
        let reader = try Database(path: bus(directory) + "/log.sqlite", .readOnly)
        try reader.execute("BEGIN")
        #expect(try reader.fetchInteger("SELECT count(*) FROM messages") == 1)
        probe.append(draft("a", "2"))
        probe.stop()
        #expect(probe.now.notices.contains { $0.contains("log.sqlite alone is not complete") })
        try reader.execute("COMMIT")
    }

    // MARK: The file wake

    private enum Harm: CaseIterable { case emptied, shortened, overwritten, older, removed }

    @Test(arguments: Harm.allCases)
    private func `a file wake that was harmed under its processes killed them`(harm: Harm) throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "1"))
        let path = bus(directory) + "/wake"
        let old = try Data(contentsOf: URL(fileURLWithPath: path))
        probe.append(draft("a", "2"))
        let wake = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        switch harm {
        case .emptied: try wake.truncate(atOffset: 0)
        case .shortened: try wake.truncate(atOffset: 20)
        case .overwritten: try wake.write(contentsOf: Data(repeating: 0xff, count: 4096))
        case .older: try wake.write(contentsOf: old)
        case .removed: try files.removeItem(atPath: path)
        }
        try wake.close()
        #expect(probe.append(draft("a", "3")).id != nil)
        #expect(probe.log.committedHead == Offset(3))
        #expect(texts(probe) == ["1", "2", "3"])
        probe.stop()
        // What this process knew is as good as what the file said.
        let again = LogProbe(settings(directory))
        #expect(again.now.epochs?.stretches.count == 1)
        #expect(texts(again) == ["1", "2", "3"])
        again.stop()
    }

    @Test func `numbers in the file wake that can't be are not believed`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "1"))
        let path = bus(directory) + "/wake"
        for head in [Int64.max, .min, -1] {
            let wake = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            try wake.seek(toOffset: 16)
            try wake.write(contentsOf: withUnsafeBytes(of: head) { Data($0) })
            try wake.close()
            #expect(probe.log.committedHead == .start)
            #expect(probe.append(draft("a", "x")).id != nil)
        }
        #expect(texts(probe).count == 4)
        #expect(probe.now.epochs?.stretches.count == 1)
        probe.stop()
    }
}
