package import Channels
package import Liveness
internal import Text

/// A join or a leave as a message.
extension PresenceEvent {
    /// How long a leave is kept for subscribers that were away; the last join of a present member is kept as long as it
    /// is present.
    private static let leaveSeconds = 600

    /// The message that reports the event.
    package var draft: Draft? {
        guard let channel = channel.presence else { return nil }
        var body: [UInt8] = []
        body.openObject()
        body.append(membersOf: member)
        if let sinceMilliseconds {
            body.append(member: "since", timeMilliseconds: sinceMilliseconds)
        }
        if !machines.isEmpty {
            body.append(member: "at", text: machines.map(\.description).joined(separator: " "))
        }
        body.closeObject()
        return Draft(
            channel: channel,
            kind: .json,
            contentType: "application/json",
            body: body,
            type: isJoin ? "join" : "leave",
            timeToLiveSeconds: isJoin ? nil : Self.leaveSeconds,
            topic: member.topic
        )
    }

    /// The content of such a message besides its member: the machines that have it, if several share the log, and when
    /// it joined, if that was before.
    package static func told(by message: Message) -> (
        machines: [MachineID], sinceMilliseconds: Int64?
    ) {
        // Another release of another machine may have written it.
        guard let body = try? JSONText.compacted(message.body),
            let members = JSONMembers.of(body)
        else { return ([], nil) }
        var told: (machines: [MachineID], sinceMilliseconds: Int64?) = ([], nil)
        for (name, value) in members {
            guard let text = JSONMembers.string(body, at: value) else { continue }
            switch name {
            case "at": told.machines = text.split(separator: " ").compactMap { MachineID($0) }
            case "since": told.sinceMilliseconds = Int64(timeText: text)
            default: break
            }
        }
        return told
    }
}
