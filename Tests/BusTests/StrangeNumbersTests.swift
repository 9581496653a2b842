import Channels
import Testing

@testable import Bus

/// Numbers in log.sqlite that Holdfast did not write: sums with them must not end the process.
@Suite struct StrangeNumbersTests {
    private static let largest = "9223372036854775807"
    private let key = IdempotencyKey(publisher: "p:1", key: "k")
    private let quota = PublisherQuota(publisher: "p", limits: .of(messages: 1000))

    private func bus(_ directory: TemporaryDirectory) -> String { directory.path + "/bus" }

    @Test(arguments: [
        "head = \(largest)", "head = -1", "trim_stamp = \(largest)", "epoch = \(largest)",
        "forgotten_through = \(largest)",
    ])
    func `a state that can't be ended the process; it counts as damage`(change: String) throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "old"))
        try execute("UPDATE state SET \(change)", bus(directory))
        #expect(probe.append(draft("a", "x")) == .unavailable)
        probe.wait("a new log") { $0.opened.count == 2 }
        #expect(probe.now.notices.contains { $0.contains("holds an impossible number") })
        #expect(probe.append(draft("a", "new")).id?.offset == Offset(1))
        #expect(probe.read(["a"], .first).messages.map(\.text) == ["new"])
        probe.stop()
    }

    @Test(arguments: [
        "state SET clock = \(largest), clock_boot = \(largest), clock_wall = \(largest)",
        "state SET clock = -\(largest), clock_boot = -\(largest), clock_wall = -\(largest)",
        "state SET channels = \(largest), messages = \(largest), keys = \(largest)",
        "channels SET count = \(largest), last_offset = \(largest)",
        "channels SET bytes = \(largest)", "channels SET bytes = -\(largest), count = -\(largest)",
        "channels SET trimmed_through = \(largest)", "channels SET due = \(largest)",
        "channels SET due = -\(largest)",
        "messages SET time = \(largest), kept = \(largest), expires = \(largest)",
        "messages SET time = -\(largest), kept = -\(largest), expires = -\(largest)",
        "keys SET first = \(largest), count = \(largest), kept = \(largest)",
        "keys SET count = -\(largest), kept = \(largest), place = \(largest)",
        "quotas SET messages_full = \(largest), bytes_full = \(largest), until = \(largest)",
        "quotas SET messages_full = -\(largest), bytes_full = -\(largest), until = -\(largest)",
        "epochs SET start = \(largest), told = \(largest)", "epochs SET start = -\(largest)",
    ])
    func `a row with numbers that can't be ended the process`(change: String) throws {
        let directory = TemporaryDirectory()
        var probe = LogProbe(settings(directory))
        for _ in 0..<2 {
            _ = probe.outcome(of: probe.send([draft("a", "old")], key: key, quota: quota))
        }
        try execute("UPDATE \(change)", bus(directory))
        for _ in 0..<2 {
            _ = probe.outcome(of: probe.send([draft("a", "new")], key: key, quota: quota))
            probe.append(draft("a", "newer"))
            _ = probe.read(["a"], .after(.start))
            _ = probe.read(["a"], .age(milliseconds: 1000))
            probe.stop()
            probe = LogProbe(settings(directory))
        }
        probe.stop()
    }
}
