import Testing

@testable import Responder

@Suite struct ComplaintsTests {
    @Test func `each connection that was closed for its bytes wrote a line`() {
        var complaints = Complaints()
        #expect(complaints.add(.idInUse, "one", now: 0) == "one")
        for at: Int64 in 1...500 {
            #expect(complaints.add(.idInUse, "more", now: at) == nil)
        }
        // Another matter is not kept back by it.
        #expect(complaints.add(.refusedRequest, "other", now: 500) == "other")
        #expect(complaints.due(now: 59_999) == [])
        // What nothing follows is told too.
        #expect(complaints.due(now: 60_000) == ["more (and 499 more such since the last line)"])
        #expect(complaints.due(now: 1_000_000) == [])
        #expect(complaints.add(.idInUse, "again", now: 120_000) == "again")
    }
}
