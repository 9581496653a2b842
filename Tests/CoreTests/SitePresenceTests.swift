import Channels
import Configuration
import Liveness
import Testing

@testable import Core

/// Presence on several machines: each judges its own members, and all go by the one order of joins and leaves.
@Suite struct SitePresenceTests {
    private let own = MachineID(0xa)
    private let other = MachineID(0xb)

    private func world() -> World {
        let world = World.withPresence()
        world.tell(.machines(SiteMachines(own: own, present: [own: .start, other: .start])))
        return world
    }

    /// An event comes by the log, of this machine or another one.
    private func tell(_ world: World, join name: String, _ body: String) {
        world.commit(
            world.message(
                "~presence/room",
                body,
                at: world.head.next.value,
                type: "join",
                topic: "name \(name)"
            )
        )
    }

    private func text(_ draft: Draft) -> String { String(decoding: draft.body, as: UTF8.self) }

    @Test func `each machine says which have a member, and tells of those of one that is lost`() {
        let world = world()
        world.get("/push/room?stream=ndjson&name=Ada", on: world.connect())
        world.pass(100)
        let join = world.takeAppends()[0].drafts[0]
        #expect(text(join) == #"{"name":"Ada","verified":false,"at":"a"}"#)
        tell(world, join: "Ada", text(join))
        tell(world, join: "Bob", #"{"name":"Bob","verified":false,"at":"b"}"#)
        tell(world, join: "Eve", #"{"name":"Eve","since":"2026-01-31T12:00:00.123Z","at":"b"}"#)
        world.get("/push/room?stream=ndjson&name=Eve", on: world.connect())
        world.pass(100)
        let further = world.takeAppends()[0]
        #expect(
            text(further.drafts[0])
                == #"{"name":"Eve","verified":false,"since":"2026-01-31T12:00:00.123Z","at":"b a"}"#
        )
        #expect(further.idempotency?.key == "leave after k7f2-3: name Eve")
        tell(world, join: "Eve", text(further.drafts[0]))
        world.pass(100_000)
        #expect(world.appends.isEmpty && world.memberCount == 3)
        // One of the lost machine's members is here, too.
        world.tell(.machines(SiteMachines(own: own, present: [own: .start])))
        world.pass(100)
        let told = world.takeAppends().flatMap(\.drafts)
        #expect(told.map(\.topic) == ["name Bob"] && told.first?.type == "leave")
    }

    @Test func `sections that another machine has, and this one lacks, are complained of`() {
        let world = world()
        func tell(_ room: String, at machine: String) {
            world.commit(
                world.message(
                    "~presence/\(room)",
                    #"{"name":"Bob","verified":false,"at":"\#(machine)"}"#,
                    at: world.head.next.value,
                    type: "join",
                    topic: "name Bob"
                )
            )
        }
        tell("room", at: "b")
        // Its own, from before a reload.
        tell("hall", at: "a")
        #expect(world.complaints.isEmpty)
        tell("hall", at: "b")
        #expect(world.complaints == [.otherPresence])
    }

    @Test func `a machine without any section complains, too`() {
        let world = World()
        world.tell(.machines(SiteMachines(own: own)))
        tell(world, join: "Bob", #"{"name":"Bob","verified":false,"at":"b"}"#)
        #expect(world.complaints == [.otherPresence] && world.memberCount == 0)
    }
}
