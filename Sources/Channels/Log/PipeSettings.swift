/// `[pipe PATH]`: a named pipe whose lines are published.
package struct PipeSettings: Equatable, Sendable {
    package enum Format: String, Equatable, Sendable, CaseIterable {
        case text, json
    }

    package var path: String
    /// The channel of all lines; nil: each line names its own.
    package var channel: ChannelName?
    /// The type of a line, if all go to one channel.
    package var format = Format.text
    /// The channels that lines may name.
    package var channels: [ChannelPattern] = [.any]
    /// Permission bits, at most 0o660. A program that reads from a pipe takes lines away, so the group may only write.
    package var mode: UInt32 = 0o620
    package var group: String?

    package init(path: String) { self.path = path }
}
