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
        bytes.append("\"channels\":[")
        for (index, entry) in listing.entries.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += json(entry, held: held(entry.name))
        }
        bytes.append("],\"next\":")
        if let next = listing.next {
            bytes.append(jsonString: next.text)
        } else {
            bytes.append("null")
        }
    }

    /// `{"channel":…,"messages":…,"bytes":…,"newest":…,"time":…,"held":…}`
    static func json(_ entry: ChannelListing.Entry, held: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append("{\"channel\":\"")
        bytes.append(text: entry.name.text)
        bytes.append("\",\"messages\":")
        bytes.append(decimal: entry.messages)
        bytes.append(",\"bytes\":")
        bytes.append(decimal: entry.bytes)
        bytes.append(",\"newest\":")
        if let newest = entry.newest {
            bytes.append(UInt8(ascii: "\""))
            bytes.append(newest)
            bytes.append(UInt8(ascii: "\""))
        } else {
            bytes.append("null")
        }
        bytes.append(",\"time\":")
        if let time = entry.newestMilliseconds {
            bytes.append(UInt8(ascii: "\""))
            bytes.append(timeMilliseconds: time)
            bytes.append(UInt8(ascii: "\""))
        } else {
            bytes.append("null")
        }
        bytes.append(",\"held\":")
        bytes.append(decimal: held)
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }
}
