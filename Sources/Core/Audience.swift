internal import Channels

/// The distinct interests of held requests, found by channel.
///
/// Requests that ask for the same thing share one interest, so that an answer is made once for all of them; thousands
/// of identical holds cost one entry here. An interest lives as long as a request holds it.
struct Audience<Interest: Hashable> {
    /// A place in the table; valid from `join` until the matching `leave`.
    typealias ID = Int32

    /// A class, so that an interest can be compared without a copy.
    private final class Entry {
        let interest: Interest
        let channels: [ChannelName]

        init(_ interest: Interest, channels: [ChannelName]) {
            (self.interest, self.channels) = (interest, channels)
        }
    }

    private var entries: [Entry?] = []
    /// How many hold each of them; apart, since most requests change nothing else.
    private var holderCounts: ContiguousArray<Int> = []
    private var free: [ID] = []
    private var ids: [Interest: ID] = [:]
    private var byChannel: [ChannelName: Set<ID>] = [:]
    /// That of the last request: those that a message has released come again together.
    private var latest: ID = -1

    init() {}

    var count: Int { ids.count }
    /// Nothing is held, and all places are free.
    var isEmpty: Bool { ids.isEmpty && byChannel.isEmpty && free.count == entries.count }

    subscript(id: ID) -> Interest {
        guard let entry = entries[Int(id)] else {
            preconditionFailure("no request holds this interest")
        }
        return entry.interest
    }

    /// Adds one holder of the interest. `channels` must be distinct, and the same for equal interests.
    mutating func join(_ interest: Interest, channels: [ChannelName]) -> ID {
        if latest >= 0, let entry = entries[Int(latest)], entry.interest == interest {
            holderCounts[Int(latest)] += 1
            return latest
        }
        if let id = ids[interest] {
            holderCounts[Int(id)] += 1
            latest = id
            return id
        }
        let entry = Entry(interest, channels: channels)
        let id: ID
        if let place = free.popLast() {
            id = place
            entries[Int(id)] = entry
            holderCounts[Int(id)] = 1
        } else {
            id = ID(entries.count)
            entries.append(entry)
            holderCounts.append(1)
        }
        ids[interest] = id
        latest = id
        for channel in channels { byChannel[channel, default: []].insert(id) }
        return id
    }

    /// The same list of channels as stored for an interest, if one is found at once: a long list is then in memory
    /// once, however many requests name it in different words.
    func shared(_ channels: [ChannelName]) -> [ChannelName] {
        guard channels.count > 1, let first = channels.first,
            let id = byChannel[first]?.first, let entry = entries[Int(id)],
            entry.channels == channels
        else { return channels }
        return entry.channels
    }

    /// Removes one holder; the last one removes the interest.
    mutating func leave(_ id: ID) {
        holderCounts[Int(id)] -= 1
        precondition(holderCounts[Int(id)] >= 0, "no request holds this interest")
        guard holderCounts[Int(id)] == 0, let entry = entries[Int(id)] else { return }
        entries[Int(id)] = nil
        free.append(id)
        ids[entry.interest] = nil
        for channel in entry.channels {
            byChannel[channel]?.remove(id)
            if byChannel[channel]?.isEmpty == true { byChannel[channel] = nil }
        }
    }

    /// The number of holders of interests that name this channel.
    func holders(of channel: ChannelName) -> Int {
        (byChannel[channel] ?? []).reduce(0) { $0 + holderCounts[Int($1)] }
    }

    /// The interests that name this channel.
    func interests(in channel: ChannelName) -> [ID] { Array(byChannel[channel] ?? []) }

    /// Every channel that an interest names, with the number of holders.
    var holders: [(channel: ChannelName, count: Int)] {
        byChannel.keys.map { ($0, holders(of: $0)) }
    }

    /// Every interest that is held.
    var all: [ID] { Array(ids.values) }

    /// The part of a batch that concerns one interest.
    struct Share {
        let id: ID
        /// Ascending by offset.
        var messages: [Message] = []
        var gap: GapReason?
    }

    /// The share of each interest that the batch concerns: its messages, and a gap if a mark shows that part of the
    /// batch's own range is already gone, by DELETE or because another process trimmed it before it was read.
    ///
    /// Other marks are not gaps for waiting requests, which have received everything before.
    func shares(of batch: CommittedBatch) -> [Share] {
        var shares: [Share] = []
        var places: [ID: Int] = [:]
        func place(_ id: ID) -> Int {
            if let place = places[id] { return place }
            places[id] = shares.count
            shares.append(Share(id: id))
            return shares.count - 1
        }
        for message in batch.messages {
            for id in byChannel[message.channel] ?? [] {
                shares[place(id)].messages.append(message)
            }
        }
        for trim in batch.trims where trim.through > batch.previous {
            for id in byChannel[trim.channel] ?? [] {
                let at = place(id)
                shares[at].gap = trim.reason
                shares[at].messages.removeAll {
                    $0.channel == trim.channel && $0.offset <= trim.through
                }
            }
        }
        return shares
    }
}
