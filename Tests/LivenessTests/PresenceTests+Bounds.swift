import Channels
import Liveness
import Testing

/// What many members, channels and events may take.
extension PresenceTests {
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
}
