import Channels
import Testing

@testable import Bus

@Suite struct LogSharedTests {
    /// Each poll that the log answers asks for the rules; they once grew by each question, until the stack was too small
    /// to call them.
    @Test func `the retention rules stay as they are however often they are asked for`() throws {
        let shared = LogShared(
            settings: BusSettings(),
            channelLimit: 10,
            clocks: LogClocks(wall: { 0 }, sinceBoot: { 0 }, bootName: "boot"),
            retention: { _ in
                var retention = Retention()
                retention.count = 7
                return retention
            },
            deliver: { _ in }
        )
        var rules = shared.retention
        for _ in 0..<500_000 { rules = shared.retention }
        #expect(rules(try ChannelName("news")).count == 7)
    }
}
