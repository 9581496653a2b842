import Channels
import Liveness
import Testing

struct PresenceTests {
    private let chat = try! ChannelName("chat")
    private let ada = Member(name: "Ada", isVerified: false)
    private let limits: PresenceLimits = {
        var limits = PresenceLimits()
        limits.graceMilliseconds = 10_000
        limits.members = 3
        return limits
    }()

    private func id(_ offset: Int64) -> Cursor { Cursor("k7f2x0ab-\(offset)")! }

    /// What the log makes of the events that it is given.
    private func commit(_ presence: inout Presence, at offset: Int64, now: Int64) -> [PresenceEvent]
    {
        let events = presence.due(now: now)
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

    /// For calls that change what they are asked of, which #expect can't take.
    private func expect(_ isTrue: Bool, at location: SourceLocation = #_sourceLocation) {
        #expect(isTrue, sourceLocation: location)
    }

    private func loaded() -> Presence {
        var presence = Presence()
        presence.loaded()
        return presence
    }

    private func came(
        _ presence: inout Presence,
        _ member: Member,
        _ subscriber: UInt64?,
        _ now: Int64
    )
        -> Bool
    {
        presence.came(member, to: chat, subscriber: subscriber, limits, now: now)
    }

    @Test func `who asks again within the grace period neither leaves nor comes`() {
        var presence = loaded()
        expect(came(&presence, ada, 1, 0))
        expect(commit(&presence, at: 1, now: 0).map(\.isJoin) == [true])
        for turn in 0..<20 {
            let now = Int64(turn) * 15_000
            expect(came(&presence, ada, 1, now))
            presence.held(ada, on: chat, subscriber: 1)
            expect(presence.due(now: now + 7000).isEmpty)
            presence.released(ada, on: chat, subscriber: 1, limits, now: now + 7000)
            expect(presence.due(now: now + 14_999).isEmpty)
        }
        #expect(presence.members(of: chat).map(\.member) == [ada])
    }

    @Test func `who does not is gone when the grace period is over`() {
        var presence = loaded()
        expect(came(&presence, ada, 1, 0))
        _ = commit(&presence, at: 1, now: 0)
        expect(presence.due(now: 9999).isEmpty)
        let events = commit(&presence, at: 2, now: 10_000)
        #expect(events.map(\.isJoin) == [false])
        #expect(events.first?.key == "leave after k7f2x0ab-1: name Ada")
        #expect(presence.members(of: chat).isEmpty)
    }

    @Test func `two tabs are one member, who is there until both have gone`() {
        var presence = loaded()
        for tab: UInt64 in [1, 2] {
            expect(came(&presence, ada, tab, 0))
            presence.held(ada, on: chat, subscriber: tab)
        }
        expect(commit(&presence, at: 1, now: 0).count == 1)
        expect(presence.left(subscriber: 1).map(\.member) == [ada])
        expect(presence.due(now: 1).isEmpty)
        expect(presence.left(subscriber: 2).map(\.member) == [ada])
        expect(commit(&presence, at: 2, now: 2).map(\.isJoin) == [false])
    }

    @Test func `the same name of a client and of the web server are two members`() {
        var presence = loaded()
        expect(came(&presence, ada, nil, 0))
        expect(came(&presence, Member(name: "Ada", isVerified: true), nil, 0))
        expect(commit(&presence, at: 1, now: 0).count == 2)
        #expect(presence.members(of: chat).count == 2)
    }

    @Test func `of a full channel's further ones nothing is told`() {
        var presence = loaded()
        for name in ["a", "b", "c"] {
            expect(came(&presence, Member(name: name, isVerified: false), nil, 0))
        }
        expect(!came(&presence, ada, nil, 0))
        expect(commit(&presence, at: 1, now: 0).count == 3)
    }

    @Test func `what another process has is not called gone while it says so`() {
        var here = loaded()
        here.told(ada, on: chat, isJoin: true, id: id(1), timeMilliseconds: 0, limits, now: 0)
        for turn in 1...20 {
            let now = Int64(turn) * Presence.tellMilliseconds
            here.heard(ada, on: chat, subscriber: 1, limits, now: now)
            expect(here.due(now: now).isEmpty)
        }
        // It was killed.
        let last = 20 * Presence.tellMilliseconds
        expect(here.due(now: last + limits.graceMilliseconds).isEmpty)
        let end = last + limits.graceMilliseconds + 2 * Presence.tellMilliseconds
        expect(here.due(now: end).map(\.isJoin) == [false])
    }

    @Test func `a process that begins says nothing before it knows what the log has told`() {
        var presence = Presence()
        expect(came(&presence, ada, 1, 0))
        expect(presence.due(now: 0).isEmpty)
        presence.told(ada, on: chat, isJoin: true, id: id(7), timeMilliseconds: 0, limits, now: 1)
        presence.loaded()
        expect(presence.due(now: 2).isEmpty)
        #expect(presence.members(of: chat).map(\.member) == [ada])
    }

    @Test func `whom a process that ended has left behind in the log leaves in time`() {
        var presence = Presence()
        presence.told(ada, on: chat, isJoin: true, id: id(7), timeMilliseconds: 0, limits, now: 0)
        presence.loaded()
        expect(presence.due(now: 17_999).isEmpty)
        expect(presence.due(now: 18_000).map(\.isJoin) == [false])
    }

    @Test func `older news changes nothing`() {
        var presence = loaded()
        presence.told(ada, on: chat, isJoin: false, id: id(9), timeMilliseconds: 0, limits, now: 0)
        presence.told(ada, on: chat, isJoin: true, id: id(8), timeMilliseconds: 0, limits, now: 0)
        #expect(presence.members(of: chat).isEmpty)
    }

    @Test func `everybody who notices a change gives it the same key`() {
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
        let keys = [one.due(now: 60_000), other.due(now: 60_000)].map { $0.map(\.key) }
        #expect(keys[0] == keys[1])
        #expect(keys[0].count == 1)
    }

    @Test func `what the log did not take is given to it again, but not at once`() {
        var presence = loaded()
        expect(came(&presence, ada, 1, 0))
        presence.held(ada, on: chat, subscriber: 1)
        expect(presence.due(now: 0).count == 1)
        expect(presence.due(now: 4999).isEmpty)
        expect(presence.due(now: 5000).count == 1)
    }

    @Test func `who leaves has left everywhere, whoever else has spoken of him`() {
        var here = loaded()
        expect(came(&here, ada, 1, 0))
        _ = commit(&here, at: 1, now: 0)
        here.heard(ada, on: chat, subscriber: 1, limits, now: 1)
        expect(here.left(subscriber: 1).count == 1)
        let event = here.due(ada, on: chat, now: 2)
        #expect(event?.isJoin == false)
    }

    @Test func `news of his leaving that comes late does not concern what he asked since`() {
        var here = loaded()
        expect(here.came(ada, to: chat, subscriber: 1, at: 200, limits, now: 0))
        here.held(ada, on: chat, subscriber: 1)
        _ = commit(&here, at: 1, now: 0)
        expect(here.left(subscriber: 1, at: 100).isEmpty)
        expect(here.due(now: 60_000).isEmpty)
        expect(here.left(subscriber: 1, at: 300).count == 1)
    }

    @Test func `who was not told of holds nothing`() {
        var presence = loaded()
        for name in ["a", "b", "c"] {
            expect(came(&presence, Member(name: name, isVerified: false), nil, 0))
        }
        expect(!came(&presence, ada, 1, 0))
        expect(!presence.held(ada, on: chat, subscriber: 1))
    }

    @Test func `those who have left take nobody's place`() {
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

    @Test func `a lease that was forgotten is there again when a request is held`() {
        var presence = loaded()
        expect(came(&presence, ada, 1, 0))
        _ = commit(&presence, at: 1, now: 0)
        _ = commit(&presence, at: 2, now: 10_000)
        presence.held(ada, on: chat, subscriber: 1)
        expect(presence.due(now: 20_000).map(\.isJoin) == [true])
    }

    @Test func `those who are long gone are forgotten`() {
        var presence = loaded()
        expect(came(&presence, ada, 1, 0))
        _ = commit(&presence, at: 1, now: 0)
        _ = commit(&presence, at: 2, now: 10_000)
        #expect(!presence.isEmpty)
        expect(presence.due(now: 610_001).isEmpty)
        #expect(presence.isEmpty)
    }

    @Test func `a topic is read back as the member it is of`() {
        for member in [ada, Member(name: "user name", isVerified: true)] {
            #expect(Member(topic: member.topic) == member)
        }
        #expect(Member(topic: "nobody") == nil)
    }
}
