internal import Channels
internal import Text

/// Encodes channels for listings.
enum ChannelEncoder {
    /// `"channels":[…],"next":…`
    static func appendMembers(
        of listing: ChannelListing,
        held: (ChannelName) -> Int,
        to bytes: inout [UInt8]
    ) {
        bytes.append(member: "channels")
        bytes.openArray()
        for entry in listing.entries {
            bytes.beginElement()
            append(entry, held: held(entry.name), to: &bytes)
        }
        bytes.closeArray()
        if let next = listing.next {
            bytes.append(member: "next", text: next.text)
        } else {
            bytes.append(nullMember: "next")
        }
    }

    /// `{"channel":…,"messages":…,"bytes":…,"newest":…,"time":…,"held":…}`
    static func append(
        _ entry: ChannelListing.Entry,
        held: Int,
        to bytes: inout [UInt8]
    ) {
        bytes.openObject()
        bytes.append(member: "channel", text: entry.name.text)
        bytes.append(member: "messages", entry.messages)
        bytes.append(member: "bytes", entry.bytes)
        if let newest = entry.newest {
            bytes.append(member: "newest", newest)
        } else {
            bytes.append(nullMember: "newest")
        }
        if let time = entry.newestMilliseconds {
            bytes.append(member: "time", timeMilliseconds: time)
        } else {
            bytes.append(nullMember: "time")
        }
        bytes.append(member: "held", held)
        bytes.closeObject()
    }
}
