package import Channels

/// `GET …/-/channels` and `…/-/channels/{channel}`
package struct ChannelsRequest: Sendable {
    /// Where the listing begins.
    package let from: ChannelName?
    package let limit: Int
    /// The one channel that was asked for.
    let only: ChannelName?
    let shape: Shape

    /// - Parameter held: how many wait for a channel.
    package func answer(_ listing: ChannelListing, held: (ChannelName) -> Int) -> Answer {
        if let only {
            guard let entry = listing.entries.first, entry.name == only else {
                return shape.answer(.channelNotFound)
            }
            var body = ChannelEncoder.json(entry, held: held(only))
            body.append(0x0A)
            return shape.plain("application/json", body)
        }
        var body: [UInt8] = []
        body.append("{\"channels\":[")
        for (index, entry) in listing.entries.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.append(contentsOf: ChannelEncoder.json(entry, held: held(entry.name)))
        }
        body.append("],\"next\":")
        if let next = listing.next {
            body.append(jsonString: next.text)
        } else {
            body.append("null")
        }
        body.append("}\n")
        return shape.plain("application/json", body)
    }

    package func unavailable() -> Answer { shape.answer(.unavailable) }
}

/// Channels as listings write them.
enum ChannelEncoder {
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
