import Channels
import Testing

@testable import Core

@Suite struct `What is known of the log` {
    private var log = KnownLog()
    private let epochs = EpochHistory([
        .init(epoch: epoch("old1"), start: Offset(1), told: nil),
        .init(epoch: epoch("k7f2"), start: Offset(11), told: Offset(10)),
    ])

    private func tail(_ epochs: EpochHistory? = nil, head: Int64) -> Tail {
        Tail(
            epochs: epochs ?? self.epochs,
            head: Offset(head),
            floor: Offset(head),
            messages: [],
            trims: [],
            messageLimit: 100,
            byteLimit: 10_000
        )
    }

    private func batch(_ previous: Int64, _ head: Int64) -> CommittedBatch {
        CommittedBatch(previous: Offset(previous), head: Offset(head), messages: [], trims: [])
    }

    private func obstacle(_ log: KnownLog) -> String? { log.obstacle(maxLagSeconds: 30) }

    @Test mutating func `it has a position once it is open`() {
        #expect(!log.isOpen && log.position == nil && log.head == nil && log.epoch == nil)
        log.begin(tail(head: 20), isOpening: true)
        #expect(log.isOpen && log.isAvailable && log.position == Cursor("k7f2-14"))
    }

    @Test mutating func `a trouble lasts until the log is opened again`() {
        log.failed()
        log.begin(tail(head: 20), isOpening: true)
        #expect(log.isAvailable)
        log.failed()
        #expect(log.isOpen && !log.isAvailable)
        log.begin(tail(head: 21), isOpening: false)
        #expect(!log.isAvailable)
        log.begin(tail(head: 21), isOpening: true)
        #expect(log.isAvailable)
    }

    @Test
    mutating func `what keeps it from serving all of its clients is told, the log itself first`() {
        #expect(obstacle(log) == "the log is not available at the moment")
        log.begin(tail(head: 20), isOpening: true)
        #expect(obstacle(log) == nil)
        for trouble in EngineTrouble.allCases {
            log.engine(trouble)
            #expect(obstacle(log) != nil)
        }
        log.engine(.lagging)
        #expect(obstacle(log)?.contains("more than 30 s") == true)
        log.failed()
        #expect(obstacle(log) == "the log is not available at the moment")
        log.begin(tail(head: 20), isOpening: true)
        log.engine(nil)
        #expect(obstacle(log) == nil)
    }

    @Test mutating func `what is committed is received once, and nothing before the log is open`() {
        #expect(log.receive(batch(0, 1)) == nil)
        log.begin(tail(head: 20), isOpening: true)
        #expect(log.receive(batch(20, 22))?.head == Offset(22) && log.head == Offset(22))
        #expect(log.receive(batch(20, 22)) == nil)
    }
}
