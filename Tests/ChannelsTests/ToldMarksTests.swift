import Channels
import Testing

/// What a reader that goes forwards in pieces is told of trim marks.
@Suite struct ToldMarksTests {
    private func piece(
        scanned: Int64,
        _ marks: [TrimMark],
        mayMiss: Bool = true
    ) -> HistoryPage {
        HistoryPage(
            messages: [],
            scanned: Offset(scanned),
            more: true,
            gap: mayMiss ? marks.max { $0.through < $1.through }?.reason : nil,
            marks: marks,
            newest: Offset(scanned)
        )
    }

    @Test func `a far mark of one channel hid what another one lost later`() {
        var told = ToldMarks()
        #expect(told.take(piece(scanned: 100, [mark("a", 900, .deleted)])) == .deleted)
        // Below the mark of a, but b's own.
        let both = [mark("a", 900, .deleted), mark("b", 400)]
        #expect(told.take(piece(scanned: 200, both)) == .trimmed)
        #expect(told.take(piece(scanned: 300, both)) == nil)
        #expect(told.take(piece(scanned: 500, [mark("a", 900, .deleted)])) == nil)
    }

    @Test func `a mark that rises is told again, and one that stands is not`() {
        var told = ToldMarks()
        #expect(told.take(piece(scanned: 10, [mark("a", 50)])) == .trimmed)
        #expect(told.take(piece(scanned: 20, [mark("a", 50)])) == nil)
        #expect(told.take(piece(scanned: 30, [mark("a", 60, .deleted)])) == .deleted)
        // Two of one channel, as age and count may leave them.
        #expect(told.take(piece(scanned: 40, [mark("a", 60), mark("a", 61)])) == .trimmed)
    }

    @Test func `a reader that starts with what is there is not told of what was there before`() {
        var told = ToldMarks()
        #expect(told.take(piece(scanned: 10, [mark("a", 50)], mayMiss: false)) == nil)
        #expect(told.take(piece(scanned: 20, [mark("a", 50)])) == nil)
        #expect(told.take(piece(scanned: 30, [mark("a", 51)])) == .trimmed)
    }
}
