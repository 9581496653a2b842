package import Channels

/// What the ini file says about the presence on a channel.
package struct PresenceLimits: Equatable, Sendable {
    /// How long somebody stays after his last request has ended.
    package var graceMilliseconds: Int64 = 15_000
    package var members = 1000

    package init() {}
}

/// Somebody on a channel, by the name that others see.
package struct Member: Hashable, Sendable {
    /// At most `nameByteLimit` bytes, without control characters.
    package let name: String
    /// The web server vouches for the name (REMOTE_USER); else the client gave it itself. The same name is two members.
    package let isVerified: Bool

    package static let nameByteLimit = 128

    package init(name: String, isVerified: Bool) {
        self.name = name
        self.isVerified = isVerified
    }

    /// One text for both, in which the log replaces a member's earlier event by his newer one.
    package var topic: String { (isVerified ? "user " : "name ") + name }

    /// Nil where it is not one.
    package init?(topic: String) {
        guard topic.hasPrefix("user ") || topic.hasPrefix("name ") else { return nil }
        self.init(name: String(topic.dropFirst(5)), isVerified: topic.hasPrefix("user "))
    }
}

/// That a member came or left, as the log tells it or is to be told.
package struct PresenceEvent: Equatable, Sendable {
    package let channel: ChannelName
    package let member: Member
    package let isJoin: Bool
    /// Of the member's event before this one, if it is remembered: whoever notices the same change gives it the same
    /// key, so that the log takes it once.
    package let previous: Cursor?

    package var key: String {
        "\(isJoin ? "join" : "leave") \(previous.map { "\($0)" } ?? "first") \(member.topic)"
    }
}

/// Who is on which channel. Pure: time comes in as milliseconds of a clock that does not go back.
///
/// A member is here while he has a lease: a held request, or one that ended less than the grace period ago, in this
/// process or in another one, which says so now and then. That he came or left is a message in the log, which all
/// processes read in one order; `members(of:)` is what these messages make together. A process that notices that the
/// two differ appends what is missing, and the log takes it once however many notice.
package struct Presence: Sendable {
    private struct Lease {
        /// Held requests.
        var held = 0
        /// The grace period's end.
        var until: Int64 = 0
    }

    private struct Entry {
        /// Of this process, by the subscriber's id; 0 stands for those without one.
        var leases: [UInt64: Lease] = [:]
        /// Other processes have spoken of him; good until then.
        var heardUntil: Int64 = .min
        /// The newest event that the log told.
        var isPresent = false
        var event: Cursor?
        var timeMilliseconds: Int64 = 0
        /// An event was given to the log, which is asked again after this moment.
        var askedUntil: Int64 = .min
        /// When he was last here or told of, for forgetting.
        var touched: Int64 = 0

        func isLeased(_ now: Int64) -> Bool {
            leases.values.contains { $0.held > 0 || $0.until > now }
        }
    }

    private var channels: [ChannelName: [Member: Entry]] = [:]
    /// Whether what the log has told before this process came is known; nothing is said before.
    package private(set) var isLoaded = false

    /// How often processes tell each other whom they have.
    package static let tellMilliseconds: Int64 = 4000
    /// Longer than the log remembers keys of events, so that a first join is never taken for an old one.
    private static let forgetMilliseconds: Int64 = 600_000
    private static let askMilliseconds: Int64 = 5000

    package init() {}

    package var isEmpty: Bool { channels.isEmpty }

    // MARK: Leases of this process

    /// A request of his has come. False where the channel has its full number and he is not among them.
    package mutating func came(
        _ member: Member,
        to channel: ChannelName,
        subscriber: UInt64?,
        _ limits: PresenceLimits,
        now: Int64
    ) -> Bool {
        if channels[channel]?[member] == nil, (channels[channel]?.count ?? 0) >= limits.members {
            return false
        }
        var entry = channels[channel, default: [:]][member] ?? Entry()
        entry.leases[subscriber ?? 0, default: Lease()].until = now + limits.graceMilliseconds
        entry.touched = now
        channels[channel, default: [:]][member] = entry
        return true
    }

    /// Whether other processes need to be told: nobody here spoke of him before.
    package func isNews(_ member: Member, on channel: ChannelName, now: Int64) -> Bool {
        channels[channel]?[member]?.isLeased(now) != true
    }

    package mutating func held(_ member: Member, on channel: ChannelName, subscriber: UInt64?) {
        channels[channel]?[member]?.leases[subscriber ?? 0]?.held += 1
    }

    /// A held request of his has ended.
    package mutating func released(
        _ member: Member,
        on channel: ChannelName,
        subscriber: UInt64?,
        _ limits: PresenceLimits?,
        now: Int64
    ) {
        guard var lease = channels[channel]?[member]?.leases[subscriber ?? 0] else { return }
        lease.held = max(0, lease.held - 1)
        lease.until = now + (limits?.graceMilliseconds ?? 0)
        channels[channel]?[member]?.leases[subscriber ?? 0] = lease
        channels[channel]?[member]?.touched = now
    }

    /// He said that he leaves: what he still holds is ended by others, and the grace period is over.
    package mutating func left(subscriber: UInt64) {
        for (channel, members) in channels {
            for (member, entry) in members where entry.leases[subscriber] != nil {
                channels[channel]?[member]?.leases[subscriber] = nil
            }
        }
    }

    // MARK: What others say

    /// All whom this process has a lease for.
    package func leased(now: Int64) -> [(channel: ChannelName, member: Member)] {
        channels.flatMap { channel, members in
            members.filter { $0.value.isLeased(now) }.map { (channel, $0.key) }
        }
    }

    /// Another process has him. It will say so again, or he is gone.
    package mutating func heard(
        _ member: Member,
        on channel: ChannelName,
        _ limits: PresenceLimits,
        now: Int64
    ) {
        if channels[channel]?[member] == nil, (channels[channel]?.count ?? 0) >= limits.members {
            return
        }
        let until = now + limits.graceMilliseconds + 2 * Self.tellMilliseconds
        channels[channel, default: [:]][member, default: Entry()].heardUntil = until
        channels[channel]?[member]?.touched = now
    }

    // MARK: What the log says

    /// Another log has taken the place of the one before, or this process has just begun.
    package mutating func forgetEvents() {
        isLoaded = false
        for (channel, members) in channels {
            for member in members.keys {
                channels[channel]?[member]?.event = nil
                channels[channel]?[member]?.isPresent = false
            }
        }
    }

    /// A join or a leave was committed, or found in the history; older than what is known, it changes nothing.
    package mutating func told(
        _ member: Member,
        on channel: ChannelName,
        isJoin: Bool,
        id: Cursor,
        timeMilliseconds: Int64,
        _ limits: PresenceLimits?,
        now: Int64
    ) {
        var entry = channels[channel, default: [:]][member] ?? Entry()
        if let event = entry.event, event.epoch == id.epoch, event.offset >= id.offset { return }
        entry.event = id
        entry.isPresent = isJoin
        entry.timeMilliseconds = timeMilliseconds
        entry.askedUntil = .min
        entry.touched = now
        // Whoever else has him will say so soon; if nobody does, he left unnoticed.
        if isJoin, !entry.isLeased(now) {
            let patience = (limits?.graceMilliseconds ?? 0) + 2 * Self.tellMilliseconds
            entry.heardUntil = max(entry.heardUntil, now + patience)
        }
        channels[channel, default: [:]][member] = entry
    }

    /// All that the log knew has been told.
    package mutating func loaded() { isLoaded = true }

    /// Those who are there, in the order they came.
    package func members(of channel: ChannelName) -> [(member: Member, sinceMilliseconds: Int64)] {
        (channels[channel] ?? [:]).filter { $0.value.isPresent }
            .map { (member: $0.key, sinceMilliseconds: $0.value.timeMilliseconds) }
            .sorted {
                ($0.sinceMilliseconds, $0.member.topic) < ($1.sinceMilliseconds, $1.member.topic)
            }
    }

    // MARK: The difference

    /// Events that the log has to be given now. Each is named again if the log has not told it after a while.
    package mutating func due(now: Int64) -> [PresenceEvent] {
        guard isLoaded else { return [] }
        var events: [PresenceEvent] = []
        for (channel, members) in channels {
            for (member, entry) in members {
                let isLeased = entry.isLeased(now)
                let isHere = isLeased || entry.heardUntil > now
                // A process speaks for those it has itself, and for those whom nobody has any more.
                if isLeased && !entry.isPresent || !isHere && entry.isPresent {
                    guard entry.askedUntil <= now else { continue }
                    channels[channel]?[member]?.askedUntil = now + Self.askMilliseconds
                    events.append(
                        PresenceEvent(
                            channel: channel,
                            member: member,
                            isJoin: isLeased,
                            previous: entry.event
                        )
                    )
                } else if !isHere, !entry.isPresent,
                    now - entry.touched > Self.forgetMilliseconds
                {
                    channels[channel]?[member] = nil
                }
                if !entry.leases.isEmpty {
                    channels[channel]?[member]?.leases = entry.leases.filter {
                        $0.value.held > 0 || $0.value.until > now
                    }
                }
            }
            if channels[channel]?.isEmpty == true { channels[channel] = nil }
        }
        return events
    }
}
