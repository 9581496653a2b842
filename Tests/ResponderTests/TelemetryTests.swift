import Channels
import Core
import Endpoint
import Testing

@testable import Responder

@Suite struct `Surveys` {
    private var telemetry = Telemetry(startedAt: 0, linesLost: { 0 })
    private let ticket = Ticket(7)

    private func snapshot(_ pid: Int64) -> Snapshot {
        Snapshot(pid: pid, uptimeSeconds: 0, isReady: true, isServing: false, values: [])
    }

    @Test func `a survey is complete when each that was asked has answered once`() throws {
        var telemetry = telemetry
        telemetry.begin(ticket, .metrics(.prometheus), asked: 2)
        #expect(telemetry.answered(7, by: "a", .snapshot(snapshot(1))) == nil)
        #expect(telemetry.answered(7, by: "a", .snapshot(snapshot(1))) == nil)
        #expect(telemetry.answered(8, by: "b", .snapshot(snapshot(2))) == nil)
        #expect(telemetry.answered(7, by: "b", .snapshot(snapshot(2))) == ticket)
        let survey = telemetry.take(ticket)
        #expect(survey?.snapshots.map(\.pid) == [1, 2])
        #expect(telemetry.take(ticket) == nil)
        #expect(telemetry.answered(7, by: "c", .snapshot(snapshot(3))) == nil)
    }

    @Test func `one of another release has answered, and is missing`() throws {
        var telemetry = telemetry
        telemetry.begin(ticket, .status(withHistory: false), asked: 1)
        #expect(telemetry.answered(7, by: "a", .snapshot(nil)) == ticket)
        #expect(telemetry.take(ticket)?.snapshots.isEmpty == true)
    }

    @Test func `waiting requests are added up over the processes`() throws {
        var telemetry = telemetry
        let channel = try ChannelName("a")
        telemetry.begin(ticket, .holders(from: "a", through: "a"), asked: 2)
        _ = telemetry.answered(7, by: "a", .holders([(channel, 2)]))
        _ = telemetry.answered(7, by: "b", .holders([(channel, .max)]))
        #expect(telemetry.take(ticket)?.holders == [channel: .max])
    }

    @Test func `answers for watchers are kept until the next second`() throws {
        var telemetry = telemetry
        #expect(telemetry.takeWatch() == nil)
        let number = telemetry.nextWatch()
        telemetry.beginWatch(asked: 2)
        #expect(telemetry.answered(number, by: "a", .snapshot(snapshot(1))) == nil)
        #expect(telemetry.answered(number - 1, by: "b", .snapshot(snapshot(2))) == nil)
        let survey = telemetry.takeWatch()
        #expect(survey?.asked == 2 && survey?.snapshots.map(\.pid) == [1])
    }
}
