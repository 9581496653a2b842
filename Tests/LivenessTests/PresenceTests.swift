import Channels
import Liveness
import Testing

struct PresenceTests {
    let chat = try! ChannelName("chat")
    let ada = Member(name: "Ada", isVerified: false)
    let limits: PresenceLimits = {
        var limits = PresenceLimits()
        limits.graceMilliseconds = 10_000
        limits.members = 3
        return limits
    }()

    func id(_ offset: Int64) -> Cursor { Cursor("k7f2x0ab-\(offset)")! }

    /// What the log makes of the events that it is given.
    func commit(_ presence: inout Presence, at offset: Int64, now: Int64) -> [PresenceEvent] {
        let events = presence.due(now: now).events
        for (number, event) in events.enumerated() {
            presence.told(
                event.member,
                on: event.channel,
                isJoin: event.isJoin,
                id: id(offset + Int64(number)),
                timeMilliseconds: now,
                limits,
                now: now
            )
        }
        return events
    }

    /// For calls that change what they are asked of, which #expect cannot take.
    func expect(_ isTrue: Bool, at location: SourceLocation = #_sourceLocation) {
        #expect(isTrue, sourceLocation: location)
    }

    func loaded() -> Presence {
        var presence = Presence()
        presence.loaded()
        return presence
    }

    /// A request of the member is held.
    func attends(
        _ presence: inout Presence,
        _ member: Member,
        _ subscriber: UInt64?,
        _ now: Int64
    ) -> Bool {
        presence.attends(member, on: chat, subscriber: subscriber, limits, now: now) != .leftOut
    }

    /// A request of the member was held, and has ended at once.
    func came(
        _ presence: inout Presence,
        _ member: Member,
        _ subscriber: UInt64?,
        _ now: Int64
    ) -> Bool {
        guard attends(&presence, member, subscriber, now) else { return false }
        presence.released(member, on: chat, subscriber: subscriber, limits, now: now)
        return true
    }

    @Test func `a member that asks again within the grace period neither leaves nor joins`() {
        var presence = loaded()
        expect(came(&presence, ada, 1, 0))
        expect(commit(&presence, at: 1, now: 0).map(\.isJoin) == [true])
        for turn in 0..<20 {
            let now = Int64(turn) * 15_000
            expect(attends(&presence, ada, 1, now))
            expect(presence.due(now: now + 7000).events.isEmpty)
            presence.released(ada, on: chat, subscriber: 1, limits, now: now + 7000)
            expect(presence.due(now: now + 14_999).events.isEmpty)
        }
        #expect(presence.members(of: chat).map(\.member) == [ada])
    }

    @Test func `a member that does not ask again leaves after the grace period`() {
        var presence = loaded()
        expect(came(&presence, ada, 1, 0))
        _ = commit(&presence, at: 1, now: 0)
        expect(presence.due(now: 9999).events.isEmpty)
        let events = commit(&presence, at: 2, now: 10_000)
        #expect(events.map(\.isJoin) == [false])
        #expect(events.first?.key == "leave after k7f2x0ab-1: name Ada")
        #expect(presence.members(of: chat).isEmpty)
    }

    @Test func `two tabs are one member, which is present until both have gone`() {
        var presence = loaded()
        for tab: UInt64 in [1, 2] {
            expect(attends(&presence, ada, tab, 0))
        }
        expect(commit(&presence, at: 1, now: 0).count == 1)
        presence.left(subscriber: 1, now: 1)
        expect(presence.due(now: 1).events.isEmpty)
        presence.left(subscriber: 2, now: 2)
        expect(commit(&presence, at: 2, now: 2).map(\.isJoin) == [false])
    }

    @Test func `the same name of a client and of the web server are two members`() {
        var presence = loaded()
        expect(came(&presence, ada, nil, 0))
        expect(came(&presence, Member(name: "Ada", isVerified: true), nil, 0))
        expect(commit(&presence, at: 1, now: 0).count == 2)
        #expect(presence.members(of: chat).count == 2)
    }

    @Test func `further members of a full channel are not reported`() {
        var presence = loaded()
        for name in ["a", "b", "c"] {
            expect(came(&presence, Member(name: name, isVerified: false), nil, 0))
        }
        expect(!came(&presence, ada, nil, 0))
        expect(commit(&presence, at: 1, now: 0).count == 3)
    }

    @Test
    func `a member of another process is not reported as gone while that process announces it`() {
        var here = loaded()
        here.told(ada, on: chat, isJoin: true, id: id(1), timeMilliseconds: 0, limits, now: 0)
        for turn in 1...20 {
            let now = Int64(turn) * Presence.tellMilliseconds
            here.heard(ada, on: chat, subscriber: 1, limits, now: now)
            expect(here.due(now: now).events.isEmpty)
        }
        // It was killed.
        let last = 20 * Presence.tellMilliseconds
        expect(here.due(now: last + limits.graceMilliseconds).events.isEmpty)
        let end = last + limits.graceMilliseconds + 2 * Presence.tellMilliseconds
        expect(here.due(now: end).events.map(\.isJoin) == [false])
    }

    @Test func `a member was reported as gone while its process had yet to read the log's events`()
    {
        var (one, other) = (loaded(), loaded())
        one.tellOthers(true, now: 0)
        expect(attends(&one, ada, 1, 0))
        other.told(ada, on: chat, isJoin: true, id: id(1), timeMilliseconds: 0, limits, now: 0)
        // The log was replaced, and does not answer for long.
        one.forgetEvents(now: 0)
        for turn in 0..<100 {
            let now = Int64(turn) * 1000
            let due = one.due(now: now)
            expect(due.events.isEmpty && one.nextLook > now)
            for (channel, member, subscriber) in due.leases {
                other.heard(member, on: channel, subscriber: subscriber, limits, now: now)
            }
            expect(other.due(now: now).events.isEmpty)
        }
        one.loaded()
        expect(one.due(now: 100_000).events.map(\.isJoin) == [true])
    }

    @Test func `a new process reports nothing before it has read the log's events`() {
        var presence = Presence()
        expect(came(&presence, ada, 1, 0))
        expect(presence.due(now: 0).events.isEmpty)
        presence.told(ada, on: chat, isJoin: true, id: id(7), timeMilliseconds: 0, limits, now: 1)
        presence.loaded()
        expect(presence.due(now: 2).events.isEmpty)
        #expect(presence.members(of: chat).map(\.member) == [ada])
    }

    @Test func `members that a dead process left in the log leave in time`() {
        var presence = Presence()
        presence.told(ada, on: chat, isJoin: true, id: id(7), timeMilliseconds: 0, limits, now: 0)
        presence.loaded()
        expect(presence.due(now: 25_999).events.isEmpty)
        expect(presence.due(now: 26_000).events.map(\.isJoin) == [false])
    }

    @Test func `an older event changes nothing`() {
        var presence = loaded()
        presence.told(ada, on: chat, isJoin: false, id: id(9), timeMilliseconds: 0, limits, now: 0)
        presence.told(ada, on: chat, isJoin: true, id: id(8), timeMilliseconds: 0, limits, now: 0)
        #expect(presence.members(of: chat).isEmpty)
    }

    @Test func `every process that notices a change gives it the same key`() {
        var (one, other) = (loaded(), loaded())
        for offset: Int64 in [1, 5] {
            one.told(
                ada,
                on: chat,
                isJoin: true,
                id: id(offset),
                timeMilliseconds: 0,
                limits,
                now: 0
            )
        }
        other.told(ada, on: chat, isJoin: true, id: id(5), timeMilliseconds: 0, limits, now: 3)
        let keys = [one.due(now: 60_000), other.due(now: 60_000)].map { $0.events.map(\.key) }
        #expect(keys[0] == keys[1])
        #expect(keys[0].count == 1)
    }

    @Test func `an event that the log did not take is repeated, but not at once`() {
        var presence = loaded()
        expect(attends(&presence, ada, 1, 0))
        expect(presence.due(now: 0).events.count == 1)
        expect(presence.due(now: 4999).events.isEmpty)
        expect(presence.due(now: 5000).events.count == 1)
    }

    @Test func `a subscriber that leaves has left in every process`() {
        var here = loaded()
        expect(came(&here, ada, 1, 0))
        _ = commit(&here, at: 1, now: 0)
        here.heard(ada, on: chat, subscriber: 1, limits, now: 1)
        here.left(subscriber: 1, now: 2)
        expect(here.due(now: 2).events.map(\.isJoin) == [false])
    }

    @Test func `a late notice of leaving does not concern newer requests`() {
        var here = loaded()
        expect(here.attends(ada, on: chat, subscriber: 1, at: 200, limits, now: 0) == .new)
        _ = commit(&here, at: 1, now: 0)
        here.left(subscriber: 1, at: 100, now: 1)
        expect(here.due(now: 60_000).events.isEmpty)
        here.left(subscriber: 1, at: 300, now: 60_001)
        expect(here.due(now: 60_001).events.map(\.isJoin) == [false])
    }

    @Test func `members that have left take up no places`() {
        var presence = loaded()
        for name in ["a", "b", "c"] {
            expect(came(&presence, Member(name: name, isVerified: false), nil, 0))
        }
        _ = commit(&presence, at: 1, now: 0)
        _ = commit(&presence, at: 4, now: 10_000)
        #expect(presence.members(of: chat).isEmpty)
        expect(came(&presence, ada, nil, 11_000))
        expect(commit(&presence, at: 7, now: 11_000).map(\.member) == [ada])
    }

    @Test func `members that left long ago are forgotten`() {
        var presence = loaded()
        expect(came(&presence, ada, 1, 0))
        _ = commit(&presence, at: 1, now: 0)
        _ = commit(&presence, at: 2, now: 10_000)
        #expect(!presence.isEmpty)
        expect(presence.due(now: 70_001).events.isEmpty)
        #expect(presence.isEmpty)
    }

    @Test func `a topic is read back as the member it is of`() {
        for member in [ada, Member(name: "user name", isVerified: true)] {
            #expect(Member(topic: member.topic) == member)
        }
        #expect(Member(topic: "nobody") == nil)
    }

    @Test func `members whose names are canonically equivalent were confused`() {
        let (one, other) = ("Jos\u{E9}", "Jose\u{301}")
        #expect(one == other)
        var presence = loaded()
        for (id, name) in [(1, one), (2, other)] as [(UInt64, String)] {
            expect(attends(&presence, Member(name: name, isVerified: true), id, 0))
        }
        #expect(commit(&presence, at: 1, now: 0).count == 2)
        let names = Set(presence.members(of: chat).map { Array($0.member.name.utf8) })
        #expect(names == [Array(one.utf8), Array(other.utf8)])
    }

    @Test func `a name that begins with a combining character was lost`() {
        for isVerified in [true, false] {
            let member = Member(name: "\u{301}e", isVerified: isVerified)
            #expect(Member(topic: member.topic) == member)
        }
    }

    @Test func `a leave told while the log was read was forgotten before an older join came`() {
        var presence = Presence()
        presence.forgetEvents(now: 0)
        func tell(_ isJoin: Bool, at offset: Int64, now: Int64) {
            presence.told(
                ada,
                on: chat,
                isJoin: isJoin,
                id: id(offset),
                timeMilliseconds: now,
                limits,
                now: now
            )
        }
        tell(false, at: 2, now: 0)
        while presence.nextLook < 200_000 { _ = presence.due(now: presence.nextLook) }
        tell(true, at: 1, now: 200_000)
        presence.loaded()
        #expect(presence.members(of: chat).isEmpty)
        while presence.nextLook < 400_000 {
            expect(presence.due(now: presence.nextLook).events.isEmpty)
        }
        #expect(presence.isEmpty)
    }

    @Test func `a second tab in the process of the first was unknown to the others when that left`()
    {
        var (here, there) = (loaded(), loaded())
        for subscriber: UInt64 in [1, 2] {
            let now = Int64(subscriber) * 1000
            if here.attends(ada, on: chat, subscriber: subscriber, at: now, limits, now: now)
                == .new
            {
                there.heard(ada, on: chat, subscriber: subscriber, limits, now: now)
            }
        }
        there.told(
            ada,
            on: chat,
            isJoin: true,
            id: id(1),
            timeMilliseconds: 2000,
            limits,
            now: 2000
        )
        for subscriber: UInt64 in [1, 2] {
            #expect(there.counted == 1)
            there.left(subscriber: subscriber, at: 3000, now: 3000)
            expect(there.due(now: 3000).events.map(\.isJoin) == (subscriber == 1 ? [] : [false]))
        }
    }
}
