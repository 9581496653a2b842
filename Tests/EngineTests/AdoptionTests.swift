import Channels
import Engine
import Harness
import Testing

/// What a site does with the history of its first machine.
@Suite(.enabled(if: PostgreSQL.isUsable)) struct EngineAdoptionTests {
    private let history = EngineHistory(
        head: 41,
        epochs: [
            EngineEpoch(epoch: Epoch("first")!, start: 1, told: nil),
            EngineEpoch(epoch: Epoch("second")!, start: 10, told: 12),
            EngineEpoch(epoch: Epoch("third")!, start: 42, told: nil),
        ]
    )

    private func adopt(_ site: Site, _ machine: String, _ history: EngineHistory) throws
        -> EnginePosition
    {
        try EngineAdministration.adopt(
            site.server.options,
            schema: "holdfast",
            site: site.id,
            machine: machine,
            machineName: "host-\(machine)",
            history: history
        )
    }

    private func refusal(_ site: Site, _ machine: String, _ history: EngineHistory) -> String {
        let error = #expect(throws: EngineError.self) { try adopt(site, machine, history) }
        guard case .adoptsNothing(let sentence)? = error else { return "\(error as Any)" }
        return sentence
    }

    @Test func `the site goes on where the machine's log ends, and others begin there`() throws {
        let site = try Site()
        // What SQL has published comes behind the history, and a failover before it does not matter.
        try site.server.sql("SELECT holdfast.publish('a', '\"from SQL\"')")
        try site.server.sql("SELECT holdfast.begin_epoch(holdfast.lock_head('\(site.id)'), false)")
        let position = try adopt(site, "one", history)
        #expect(position.seq == 0)
        let session = try site.session()
        let anchor = try session.anchor(deadline: soon)
        #expect(anchor.position == position)
        #expect(EngineHistory(head: anchor.head, epochs: anchor.epochs) == history)
        let head = try session.look(deadline: soon)
        // The machine may go on by itself in the epoch that it has, if it never learns of this.
        #expect((head.offset, head.seq) == (41, 1))
        #expect(head.epoch != "third")
        let receipt = try session.append(
            gid: gid(),
            known: position,
            parts: [try part([text("a", "next")])],
            fromOutbox: 10,
            deadline: soon
        )
        #expect(receipt.base == 42)
        #expect(receipt.epoch == head.epoch)
        let groups = try session.read(after: position, deadline: soon).groups
        guard case .epoch(let epoch)? = groups.first?.content else {
            Issue.record("no epoch: \(groups)")
            return
        }
        // Nothing is told of it: nothing was lost.
        #expect((epoch.start, epoch.told) == (42, 41))
        #expect(groups.dropFirst().map(\.messages) == [["next", "\"from SQL\""]])
    }

    @Test func `the same history has the same outcome, whatever came after it`() throws {
        let site = try Site()
        let position = try adopt(site, "one", history)
        #expect(try adopt(site, "one", history) == position)
        try Site.join(site.server, "two")
        #expect(try adopt(site, "one", history) == position)
        _ = try append(try site.session("two"), "next")
        #expect(try adopt(site, "one", history) == position)
        #expect(try site.session().look(deadline: soon).offset == 42)
        // Not for a machine that has not joined, and no other history.
        #expect(refusal(site, "three", history).contains("host-one is part of the site already"))
        var longer = history
        longer.head += 1
        #expect(refusal(site, "one", longer).contains("host-two is part of the site already"))
    }

    @Test func `a history that was adopted gives way to a newer one before anything follows it`()
        throws
    {
        let site = try Site()
        _ = try adopt(site, "one", history)
        var longer = history
        longer.head += 1
        longer.epochs.append(EngineEpoch(epoch: Epoch("fourth")!, start: 43, told: 42))
        let position = try adopt(site, "one", longer)
        let anchor = try site.session().anchor(deadline: soon)
        #expect(anchor.position == position)
        #expect(EngineHistory(head: anchor.head, epochs: anchor.epochs) == longer)
        #expect(try site.server.sql("SELECT count(*) FROM holdfast.log") == "2")
    }

    @Test func `a site with messages or another machine adopts nothing`() throws {
        let site = try Site()
        #expect(refusal(site, "other", history).contains("host-one is part of the site already"))
        for head in [Int64(0), 40] {
            // The newest epoch begins behind it.
            #expect(
                refusal(site, "one", EngineHistory(head: head, epochs: history.epochs))
                    .contains("not the history")
            )
        }
        #expect(
            refusal(site, "one", EngineHistory(head: 1, epochs: [])).contains("not the history")
        )
        let anchor = try site.session().anchor(deadline: soon)
        _ = try append(try site.session(), "1")
        #expect(refusal(site, "one", history).contains("something was published"))
        #expect(try site.session().anchor(deadline: soon) == anchor)
        #expect(try site.session().read(after: anchor.position, deadline: soon).groups.count == 1)
    }

    @Test func `only machines have the right`() throws {
        let site = try Site()
        try site.server.sql("CREATE ROLE shop LOGIN; GRANT holdfast_publisher TO shop")
        let options = "host=\(site.server.path) dbname=postgres user=shop"
        let error = #expect(throws: EngineError.self) {
            try EngineAdministration.adopt(
                options,
                schema: "holdfast",
                site: site.id,
                machine: "one",
                machineName: "one",
                history: history
            )
        }
        guard case .postgres(.server("42501", _))? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}
