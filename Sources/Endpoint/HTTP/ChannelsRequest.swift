package import Channels
internal import Text

/// `GET …/-/channels` and `…/-/channels/{channel}`
package struct ChannelsRequest: Sendable {
    package let selection: ChannelSelection
    let shape: Shape

    /// - Parameter held: the number of requests held for a channel.
    package func answer(_ listing: ChannelListing, held: (ChannelName) -> Int) -> Answer {
        if case .only(let only) = selection {
            guard let entry = listing.entries.first, entry.name == only else {
                return shape.answer(.channelNotFound)
            }
            var body: [UInt8] = []
            ChannelEncoder.append(entry, held: held(only), to: &body)
            body.append(0x0A)
            return shape.plain("application/json; charset=utf-8", body)
        }
        var body: [UInt8] = []
        body.openObject()
        ChannelEncoder.appendMembers(of: listing, held: held, to: &body)
        body.closeObjectAndLine()
        return shape.plain("application/json; charset=utf-8", body)
    }

    package func unavailable() -> Answer { shape.answer(.unavailable) }
}
