import Channels
import Testing

@testable import Core
@testable import Endpoint

/// A stream that reads a log which is replaced meanwhile.
@Suite struct ReplayPositionTests {
    private let channel = try! ChannelName("a")
    private let old = Epoch("old")!
    private let new = Epoch("new")!

    private func replay(at position: Replay.Position) -> Replay {
        Replay(
            StreamSubscription(channels: [channel], form: .lines),
            at: position,
            .lines(ConnectionID(index: 0, generation: 0)),
            head: nil
        )
    }

    /// A log that went back to an older one, whose newest was at 50.
    private var restored: EpochHistory {
        EpochHistory([
            EpochHistory.Stretch(epoch: old, start: Offset(1), told: nil),
            EpochHistory.Stretch(epoch: new, start: Offset(51), told: Offset(200)),
        ])
    }

    private func reading(_ offsets: ClosedRange<Int64>, _ marks: [TrimMark] = []) -> HistoryPage {
        HistoryPage(
            messages: offsets.map {
                Message(
                    offset: Offset($0),
                    epoch: new,
                    channel: channel,
                    timeMilliseconds: 0,
                    kind: .json,
                    contentType: "application/json",
                    body: [UInt8(ascii: "1")]
                )
            },
            scanned: Offset(offsets.upperBound),
            more: false,
            gap: marks.last?.reason,
            marks: marks,
            newest: Offset(offsets.upperBound)
        )
    }

    @Test func `marks of the log before hid the messages of the one that took its place`() {
        let replay = replay(at: .cursor(Cursor(epoch: old, offset: Offset(90))))
        let mark = TrimMark(channel: channel, through: Offset(150), reason: .deleted)
        #expect(replay.piece(of: reading(91...100, [mark])).gap == .deleted)
        let cursor = Cursor(epoch: old, offset: Offset(100))
        replay.advanced(to: cursor)
        #expect(
            replay.piece(of: reading(101...160)).messages.map(\.offset.value) == Array(151...160)
        )

        #expect(replay.place(of: cursor, in: restored, head: Offset(160)) == Offset(50))
        let piece = replay.piece(of: reading(51...160))
        #expect(piece.messages.map(\.offset.value) == Array(51...160))
        #expect(piece.gap == .restarted)
    }

    @Test func `a stream that ended before it could tell of a gap gave a cursor behind it`() {
        let before = Cursor(epoch: old, offset: Offset(100))
        let behind = Cursor(epoch: new, offset: Offset(50))
        let judged = replay(at: .cursor(before))
        _ = judged.place(of: before, in: restored, head: Offset(60))
        let live = replay(at: .cursor(before))
        live.owe(.restarted, resumed: behind)
        for replay in [judged, live] {
            guard case .cursor(behind) = replay.position else {
                Issue.record("\(replay.position)")
                continue
            }
            #expect(replay.cursor == before)
            // Nor does it forget that when it is judged again, here or in a log that is replaced once more.
            #expect(replay.place(of: behind, in: restored, head: Offset(60)) == Offset(50))
            #expect(replay.cursor == before)
            let other = EpochHistory([
                EpochHistory.Stretch(epoch: Epoch("other")!, start: Offset(1), told: nil)
            ])
            #expect(replay.place(of: behind, in: other, head: Offset(9)) == .start)
            #expect(replay.cursor == before)
            #expect(replay.piece(of: reading(1...9)).gap == .restarted)
            let told = Cursor(epoch: Epoch("other")!, offset: Offset(9))
            replay.advanced(to: told)
            #expect(replay.cursor == told && replay.owedGap == nil)
        }
    }

    @Test func `a stream that owed a gap began before its cursor when the log came back`() {
        let before = Cursor(epoch: old, offset: Offset(40))
        let other = EpochHistory([
            EpochHistory.Stretch(epoch: Epoch("other")!, start: Offset(1), told: nil)
        ])
        let replay = replay(at: .cursor(before))
        #expect(replay.place(of: before, in: other, head: Offset(9)) == .start)
        let resumed = Cursor(epoch: Epoch("other")!, offset: .start)
        #expect(replay.cursor == before && replay.owedGap == .restarted)

        // Something may be lost behind its cursor, and nothing before it.
        let restored = EpochHistory([
            EpochHistory.Stretch(epoch: old, start: Offset(1), told: nil),
            EpochHistory.Stretch(epoch: new, start: Offset(51), told: nil),
        ])
        #expect(replay.place(of: resumed, in: restored, head: Offset(60)) == Offset(40))
        #expect(replay.cursor == before && replay.owedGap == .restarted)
    }

    @Test func `a gap was told where the log that came back had everything`() {
        let before = Cursor(epoch: old, offset: Offset(40))
        let replay = replay(at: .cursor(before))
        let other = EpochHistory([
            EpochHistory.Stretch(epoch: Epoch("other")!, start: Offset(1), told: nil)
        ])
        #expect(replay.place(of: before, in: other, head: Offset(9)) == .start)
        let resumed = Cursor(epoch: Epoch("other")!, offset: .start)
        let complete = EpochHistory([
            EpochHistory.Stretch(epoch: old, start: Offset(1), told: nil),
            EpochHistory.Stretch(epoch: new, start: Offset(51), told: Offset(50)),
        ])
        #expect(replay.place(of: resumed, in: complete, head: Offset(60)) == Offset(40))
        #expect(replay.cursor == before && replay.owedGap == nil)
        #expect(replay.piece(of: reading(41...60)).gap == nil)
    }

    @Test func `marks that were told in the log before hid those of the one that took its place`() {
        let replay = replay(at: .cursor(Cursor(epoch: old, offset: Offset(90))))
        let told = TrimMark(channel: channel, through: Offset(150), reason: .trimmed)
        #expect(replay.piece(of: reading(91...100, [told])).gap == .trimmed)
        replay.advanced(to: Cursor(epoch: old, offset: Offset(100)))
        _ = replay.place(
            of: Cursor(epoch: old, offset: Offset(100)),
            in: restored,
            head: Offset(60)
        )
        #expect(replay.piece(of: reading(51...60)).gap == .restarted)
        replay.advanced(to: Cursor(epoch: new, offset: Offset(60)))
        let here = TrimMark(channel: channel, through: Offset(65), reason: .deleted)
        #expect(replay.piece(of: reading(66...70, [here])).gap == .deleted)
    }
}
