/// The channels to list.
package enum ChannelSelection: Equatable, Sendable {
    case only(ChannelName)
    /// Those after a name (nil: from the first), in the order of their names.
    case after(ChannelName?, limit: Int)
}

/// Some of the channels the log remembers, in the order of their names.
package struct ChannelListing: Sendable {
    package struct Entry: Sendable {
        package let name: ChannelName
        /// Messages kept in the log, including expired ones that are about to be removed.
        package let messages: Int
        /// Bytes of their bodies.
        package let bytes: Int
        /// The newest message kept, and the time of its commit: milliseconds since 1970.
        package let newest: Cursor?
        package let newestMilliseconds: Int64?

        package init(
            name: ChannelName,
            messages: Int,
            bytes: Int,
            newest: Cursor?,
            newestMilliseconds: Int64?
        ) {
            self.name = name
            self.messages = messages
            self.bytes = bytes
            self.newest = newest
            self.newestMilliseconds = newestMilliseconds
        }
    }

    package let entries: [Entry]
    /// The last of them, if others follow.
    package let next: ChannelName?

    package init(entries: [Entry], next: ChannelName?) {
        self.entries = entries
        self.next = next
    }
}
