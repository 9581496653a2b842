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
    private func expect(_ isTrue: Bool, at location: SourceLocation = #_sourceLocation) {
        #expect(isTrue, sourceLocation: location)
    }

    private func loaded() -> Presence {
        var presence = Presence()
        presence.loaded()
        return presence
    }

    /// A request of the member is held.
    private func attends(
        _ presence: inout Presence,
        _ member: Member,
        _ subscriber: UInt64?,
        _ now: Int64
    ) -> Bool {
        presence.attends(member, on: chat, subscriber: subscriber, limits, now: now) != .leftOut
    }

    /// A request of the member was held, and has ended at once.
    private func came(
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

    // MARK: Bounds

    private func bounds(_ change: (inout PresenceBounds) -> Void) -> PresenceBounds {
        var bounds = PresenceBounds()
        change(&bounds)
        return bounds
    }

    private func channel(_ number: Int) -> ChannelName { try! ChannelName("rooms/\(number)") }

    @Test func `a request that was not held made its client a member`() {
        var presence = loaded()
        presence.asked(ada, on: chat, subscriber: 1, limits, now: 0)
        expect(presence.due(now: 0).events.isEmpty)
        #expect(presence.isEmpty)
    }

    @Test func `a client whose polls are answered at once remains present while it polls`() {
        var presence = loaded()
        expect(came(&presence, ada, 1, 0))
        _ = commit(&presence, at: 1, now: 0)
        for turn in 1...20 {
            let now = Int64(turn) * 9000
            presence.asked(ada, on: chat, subscriber: 1, limits, now: now)
            expect(presence.due(now: now).events.isEmpty)
        }
        expect(presence.due(now: 189_999).events.isEmpty)
        expect(presence.due(now: 190_000).events.map(\.isJoin) == [false])
    }

    @Test
    func `members beyond the bound on all channels are not told of, and room is made by leaving`() {
        var presence = Presence(bounds { $0.members = 100 })
        presence.loaded()
        func come(_ number: Int, _ now: Int64) -> Bool {
            let attendance = presence.attends(
                ada,
                on: channel(number),
                subscriber: 1,
                limits,
                now: now
            )
            return attendance != .leftOut
        }
        let told = (0..<1000).count { come($0, 0) }
        #expect(told == 100)
        _ = commit(&presence, at: 1, now: 0)
        // Members that were reported already stay.
        expect(come(0, 1))
        for number in 0..<100 {
            presence.released(ada, on: channel(number), subscriber: 1, limits, now: 1)
        }
        expect(!come(2000, 2))
        expect(commit(&presence, at: 200, now: 10_001).count == 99)
        expect(come(2000, 10_002))
    }

    @Test func `a few requests of many channels took all places`() {
        var presence = Presence(bounds { $0.members = 100 })
        presence.loaded()
        func come(_ number: Int, isFurther: Bool) -> Bool {
            let attendance = presence.attends(
                ada,
                on: channel(number),
                subscriber: nil,
                isFurther: isFurther,
                limits,
                now: 0
            )
            return attendance != .leftOut
        }
        expect(come(0, isFurther: false))
        let further = (1..<64).count { come($0, isFurther: true) }
        #expect(further == 49)
        // A member that is already counted remains.
        expect(come(49, isFurther: true))
        expect(come(1000, isFurther: false))
    }

    @Test func `one member's many requests are bounded too`() {
        var presence = Presence(bounds { $0.leases = 50 })
        presence.loaded()
        for id: UInt64 in 1...50 { expect(came(&presence, ada, id, 0)) }
        expect(!came(&presence, ada, 51, 0))
        expect(commit(&presence, at: 1, now: 0).count == 1)
        expect(commit(&presence, at: 2, now: 10_000).count == 1)
        expect(came(&presence, ada, 51, 10_000))
    }

    @Test func `joins and leaves beyond the quota wait for their turn, and none is lost`() {
        var presence = Presence(
            bounds { ($0.burst, $0.events) = (10, 600) }  // and one a second
        )
        presence.loaded()
        for number in 0..<30 {
            _ = presence.attends(ada, on: channel(number), subscriber: 1, limits, now: 0)
        }
        var events = commit(&presence, at: 1, now: 0)
        #expect(events.count == 10)
        #expect(presence.nextLook == 1001)
        expect(presence.due(now: 500).events.isEmpty)
        for second in 1...20 {
            let now = Int64(second) * 1000 + 1
            let more = commit(&presence, at: Int64(second) * 100, now: now)
            #expect(more.count == 1)
            events += more
        }
        #expect(Set(events.map(\.channel)).count == 30)
        expect(presence.due(now: 100_000).events.isEmpty)
        #expect(presence.nextLook == .max)
    }

    @Test func `members were reported as gone while joins waited for their turn`() {
        var limits = limits
        (limits.graceMilliseconds, limits.members) = (1000, 100)
        let scarce = bounds { ($0.burst, $0.events) = (16, 64) }
        var (one, other) = (Presence(scarce), Presence(scarce))
        one.loaded()
        other.loaded()
        one.tellOthers(true, now: 0)
        for number in 0..<26 {
            let member = Member(name: "m\(number)", isVerified: false)
            _ = one.attends(member, on: chat, subscriber: nil, limits, now: 0)
        }
        var offset: Int64 = 0
        for second in 0..<150 {
            let now = Int64(second) * 1000
            let due = one.due(now: now)
            for (channel, member, subscriber) in due.leases {
                other.heard(member, on: channel, subscriber: subscriber, limits, now: now)
            }
            for event in due.events + other.due(now: now).events {
                expect(event.isJoin)
                offset += 1
                func tell(_ presence: inout Presence) {
                    presence.told(
                        event.member,
                        on: event.channel,
                        isJoin: event.isJoin,
                        id: id(offset),
                        timeMilliseconds: now,
                        limits,
                        now: now
                    )
                }
                tell(&one)
                tell(&other)
            }
        }
        #expect(other.members(of: chat).count == 26)
        #expect(offset == 26)
    }

    @Test func `events without room in the log were repeated and took the turn of others`() {
        var presence = Presence(bounds { ($0.burst, $0.events) = (4, 6) })
        presence.loaded()
        var limits = limits
        limits.members = 10
        func attend(_ channel: ChannelName) {
            _ = presence.attends(ada, on: channel, subscriber: 1, limits, now: 0)
        }
        attend(chat)
        expect(commit(&presence, at: 1, now: 0).count == 1)
        attend(channel(1))
        let event = presence.due(now: 0).events.first!
        presence.refused(event, hasNoPlace: true, now: 0)
        attend(channel(2))
        expect(presence.due(now: 5000).events.isEmpty)
        // Where the log has a place, all that is left is had.
        for number in 1...3 {
            let member = Member(name: "\(number)", isVerified: true)
            _ = presence.attends(member, on: chat, subscriber: nil, limits, now: 5000)
        }
        expect(presence.due(now: 5000).events.map(\.channel) == [chat, chat, chat])
        expect(presence.due(now: 29_999).events.allSatisfy { $0.channel == chat })
        // No member is forgotten: each is asked for again.
        var found: Set<ChannelName> = []
        for turn in 0..<40 {
            for event in commit(
                &presence,
                at: 100 + Int64(turn),
                now: 30_000 + Int64(turn) * 50_000
            ) {
                found.insert(event.channel)
            }
        }
        #expect(found.isSuperset(of: [channel(1), channel(2)]))
    }

    @Test func `thousands of present members were all examined each second`() {
        var presence = loaded()
        for number in 0..<5000 {
            _ = presence.attends(ada, on: channel(number), subscriber: 1, limits, now: 0)
        }
        expect(commit(&presence, at: 1, now: 0).count == 250)
        while presence.nextLook <= 1 { _ = commit(&presence, at: 10_000, now: 1) }
        // Whether the log has told of what it was asked.
        while presence.nextLook <= 5001 { expect(presence.due(now: 5001).events.isEmpty) }
        // Nothing is due until something happens.
        #expect(presence.nextLook == .max)
        presence.released(ada, on: channel(7), subscriber: 1, limits, now: 6000)
        #expect(presence.nextLook == 16_000)
        // With other processes, the members of this one are announced regularly.
        presence.tellOthers(true, now: 7000)
        #expect(presence.due(now: 7000).leases.count == 250)
    }

    @Test func `members that have left are forgotten at once if they are too many`() {
        var presence = Presence(bounds { $0.members = 16 })
        presence.loaded()
        for number in 0..<1000 {
            let now = Int64(number) * 1000
            _ = presence.attends(ada, on: channel(number), subscriber: 1, limits, now: now)
            _ = commit(&presence, at: Int64(number) * 10 + 1, now: now)
            presence.left(subscriber: 1, now: now)
            _ = commit(&presence, at: Int64(number) * 10 + 2, now: now)
            _ = presence.due(now: now)
        }
        #expect(presence.entryCount <= 34)
    }

    @Test func `a process with too many leases of others reported their members as gone`() {
        var presence = Presence(bounds { ($0.members, $0.leases) = (16, 4) })
        presence.loaded()
        for id: UInt64 in 1...100 {
            presence.heard(ada, on: chat, subscriber: id, limits, now: 0)
        }
        presence.told(ada, on: chat, isJoin: true, id: id(1), timeMilliseconds: 0, limits, now: 0)
        expect(presence.due(now: 25_999).events.isEmpty)
        expect(presence.due(now: 26_000).events.map(\.isJoin) == [false])
    }

    @Test func `presence takes a sixteenth of the log at most`() {
        for bytes: Int64 in [1 << 20, 16 << 20, 256 << 20, 1 << 40] {
            let bounds = PresenceBounds(logBytes: bytes)
            let rows = Int64(bounds.members + bounds.events)
            #expect(rows * 400 <= max(bytes / 16, 80 * 400))
        }
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
}
