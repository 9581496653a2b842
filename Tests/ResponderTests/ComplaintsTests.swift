import Core
import Testing

@testable import Responder

@Suite struct ComplaintsTests {
    @Test func `each connection that was closed for its bytes wrote a line`() {
        var complaints = Complaints()
        #expect(complaints.add(.core(.idInUse), "one", now: 0) == "one")
        for at: Int64 in 1...500 {
            #expect(complaints.add(.core(.idInUse), "more", now: at) == nil)
        }
        // Another matter is not kept back by it.
        #expect(complaints.add(.refusedRequest, "other", now: 500) == "other")
        #expect(complaints.due(now: 59_999).isEmpty)
        // What nothing follows is told too.
        let due = complaints.due(now: 60_000).map(\.line)
        #expect(due == ["more (and 499 more such since the last line)"])
        #expect(complaints.due(now: 119_999).isEmpty)
        #expect(complaints.add(.core(.idInUse), "again", now: 120_000) == "again")
    }

    @Test func `a refusal kept those of other sections out of the log`() {
        var complaints = Complaints()
        let kinds = ["read by 7", "read by 9", "publish by 9", "read by no section"]
        for kind in kinds { #expect(complaints.add(.core(.refusal(kind)), kind, now: 0) == kind) }
        for kind in kinds { #expect(complaints.add(.core(.refusal(kind)), kind, now: 999) == nil) }
        #expect(
            Set(complaints.due(now: 60_000).map(\.subject))
                == Set(kinds.map { .core(.refusal($0)) })
        )
        // A mistake of the web server's is no refusal.
        #expect(complaints.add(.core(.mistake("read by 7")), "mistake", now: 60_000) == "mistake")
    }
}
