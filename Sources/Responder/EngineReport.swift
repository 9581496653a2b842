internal import Bus
internal import Text

/// What the status shows of a site of several machines, besides figures: to operators only.
struct EngineReport {
    /// The site as the process that was asked knows it.
    let figures: EngineFigures
    let canPublish: Bool
    /// Nil if no process applies, or the one that does has not answered.
    let canFollow: Bool?
    /// The newest entry that this machine has, and how many it lacks; nil if no process knows.
    let applied: Int64?
    let lagGroups: Int64?
    /// Monotonic milliseconds.
    let now: Int64

    /// Appends the members of an object.
    func appendMembers(to bytes: inout [UInt8]) {
        bytes.append(member: "publishing", canPublish)
        if let canFollow {
            bytes.append(member: "following", canFollow)
        } else {
            bytes.append(nullMember: "following")
        }
        func append(_ name: StaticString, _ text: String?) {
            if let text {
                bytes.append(member: name, text: text)
            } else {
                bytes.append(nullMember: name)
            }
        }
        append("epoch", figures.epoch)
        append("site", figures.siteName)
        append("machine", figures.machine)
        bytes.append(member: "machines")
        bytes.openArray()
        for machine in figures.machines {
            bytes.beginElement()
            bytes.openObject()
            bytes.append(member: "id", text: machine.id)
            bytes.append(member: "name", text: machine.name)
            bytes.append(member: "seen_seconds_ago", Int(max(0, now - machine.seenAt) / 1000))
            // This machine knows more of itself than the engine did when it last reported.
            let isOwn = machine.id == figures.machine
            bytes.append(
                member: "applied",
                Int(isOwn ? applied ?? machine.applied : machine.applied)
            )
            let behind = isOwn ? lagGroups ?? machine.behind : machine.behind
            bytes.append(member: "lag_groups", Int(behind))
            bytes.closeObject()
        }
        bytes.closeArray()
    }
}
