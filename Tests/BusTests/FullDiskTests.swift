import Bus
import Channels
import Foundation
import Testing

@Suite struct FullDiskTests {
    private func body(_ number: Int) -> Draft {
        draft("c\(number % 5)", "\(number) " + String(repeating: "x", count: 3000))
    }

    @Test func `a log at its largest size trims its oldest messages and goes on`() throws {
        let directory = TemporaryDirectory()
        var settings = settings(directory)
        settings.maxBytes = 1 << 20
        let probe = LogProbe(settings)
        for number in 0..<1500 {
            let outcome = probe.append(body(number))
            guard outcome.id != nil else {
                Issue.record("append \(number): \(outcome)")
                return
            }
        }
        #expect(probe.now.live.count == 1500)
        #expect(probe.log.statistics.diskFull > 0)
        #expect(probe.now.notices.contains { $0.contains("max_bytes") })
        let reading = probe.read(
            (0..<5).map { "c\($0)" },
            .after(.start),
            limit: 10_000,
            bytes: 1 << 24
        )
        #expect(reading.gap == .trimmed)
        // The newest are there, without a hole.
        let offsets = reading.messages.map(\.offset.value)
        #expect(offsets.count > 50)
        #expect(offsets == Array(1500 - Int64(offsets.count) + 1...1500))
        // What fits nowhere is refused, and what fits is not.
        #expect(probe.append(draft("big", String(repeating: "x", count: 2 << 20))) == .full)
        #expect(probe.append(draft("small", "x")).id != nil)
        #expect(FileManager.default.fileExists(atPath: directory.path + "/bus/reserve"))
        probe.stop()
        #expect(try integrity(directory.path + "/bus") == "ok")
        #expect(try countsAgree(directory.path + "/bus"))
        let size =
            try FileManager.default.attributesOfItem(
                atPath: directory.path + "/bus/log.sqlite"
            )[.size] as? Int
        #expect(size! <= 1 << 20)
    }

    @Test func `of a group some publishes were refused though the next one fitted`() throws {
        let directory = TemporaryDirectory()
        var settings = settings(directory)
        settings.maxBytes = 1 << 20
        let probe = LogProbe(settings)
        for round in 0..<60 {
            let tickets = (0..<64).map { number in
                probe.send([
                    draft(
                        "c\((round * 64 + number) % 700)",
                        String(repeating: "x", count: number * 37 % 2000),
                        topic: "t\(number)"
                    )
                ])
            }
            let refused = tickets.count { probe.outcome(of: $0).id == nil }
            #expect(refused == 0, "in round \(round)")
            if refused > 0 { break }
        }
        #expect(probe.log.statistics.diskFull > 0)
        probe.stop()
        #expect(try integrity(directory.path + "/bus") == "ok")
        #expect(try countsAgree(directory.path + "/bus"))
    }

    /// Mounts a small file system; nil if that is not allowed.
    private func mountSmall(_ directory: TemporaryDirectory) -> Bool {
        mount("holdfast-test", directory.path, "tmpfs", 0, "size=6m") == 0
    }

    @Test(.enabled(if: getuid() == 0, "only root may mount a small tmpfs"))
    func `on a full disk the reserve is given up, the oldest messages go, and publishing goes on`()
        throws
    {
        let directory = TemporaryDirectory()
        guard mountSmall(directory) else {
            print("skipped: mount said \(errno)")
            return
        }
        defer { umount2(directory.path, Int32(MNT_DETACH)) }
        var settings = settings(directory)
        settings.reserveBytes = 1 << 20
        let probe = LogProbe(settings)
        var number = 0
        // More than fits, several times over.
        while number < 4000 {
            let outcome = probe.append(body(number))
            guard outcome.id != nil else {
                Issue.record("append \(number): \(outcome) \(probe.now.notices.suffix(8))")
                break
            }
            number += 1
        }
        #expect(probe.now.notices.contains { $0.contains("reserve") })
        #expect(probe.now.live.count == number)
        let reading = probe.read(
            (0..<5).map { "c\($0)" },
            .after(.start),
            limit: 10_000,
            bytes: 1 << 24
        )
        let offsets = reading.messages.map(\.offset.value)
        #expect(reading.gap == .trimmed)
        #expect(
            offsets.last == Int64(number) && offsets.last! - offsets[0] == Int64(offsets.count - 1)
        )

        // Another program fills what is left: refused or not, the process lives and reports it.
        let filler = directory.path + "/filler"
        _ = FileManager.default.createFile(atPath: filler, contents: nil)
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: filler))
        while (try? handle.write(contentsOf: Data(count: 4096))) != nil {}
        try? handle.close()
        for number in 0..<600 { probe.append(body(number)) }
        try FileManager.default.removeItem(atPath: filler)
        #expect(probe.append(draft("after", "x")).id != nil)
        #expect(probe.now.opened.count == 1)
        probe.stop()
        #expect(try integrity(directory.path + "/bus") == "ok")
        #expect(try countsAgree(directory.path + "/bus"))
    }
}
