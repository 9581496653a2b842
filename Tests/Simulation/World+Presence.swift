import Channels
import Configuration
import Core
import Endpoint
import Liveness

/// Who is on a channel, by what the clients do and by what the log says.
extension World {
    func judgePresence(_ number: Int, _ response: CGIResponse) {
        guard response.status == 200 else { return }
        guard let value = StrictJSON(response.body), let members = value["members"]?.elements,
            let cursor = value["cursor"]?.text.flatMap({ Cursor($0) }),
            let channel = value["channel"]?.text.flatMap({ log.place(ofName: "~presence/\($0)") })
        else {
            fail("call \(number): its answer is none about presence", call: number)
            return
        }
        var names: [String] = []
        for member in members {
            guard let name = member["name"]?.text, memberNames.contains(name),
                member["verified"]?.flag == false
            else {
                fail("call \(number): somebody is there who does not exist", call: number)
                return
            }
            names.append(name)
        }
        guard cursor.epoch == log.file.epoch else { return }
        for name in memberNames {
            let newest = log.file.rows[channel].messages.last { Self.isAbout(name, $0) }
            // It may be later than the answer.
            if newest?.offset ?? .start > cursor.offset { continue }
            if names.contains(name) != (newest?.type == "join") {
                let event = newest.map { "\($0.type ?? "") at \($0.offset)" } ?? "nothing"
                fail(
                    "call \(number) is told wrongly of \(name), of whom the log has \(event)",
                    call: number
                )
            }
        }
    }

    private static func isAbout(_ name: String, _ message: Message) -> Bool {
        message.topic?.hasSuffix(" " + name) == true
    }

    /// A process reports that a member has left: it has not had the member for the grace period.
    func checkLeave(_ draft: Draft, _ process: SimulatedProcess) {
        // Who was left out at a bound may be held, and not be there.
        if process.core.counters[.members] > 0 { process.hasLeftOut = true }
        guard draft.type == "leave", !process.hasLeftOut, !mayHaveLeft,
            let room = log.place(of: draft.channel.subject),
            let member = memberNames.firstIndex(where: { draft.topic?.hasSuffix(" " + $0) == true }
            ),
            let limits = process.settings.presence(on: draft.channel.subject)
        else { return }
        let at = process.turn ?? now
        for wire in process.wires where wire.isOpen && !wire.isEndTold {
            for number in wire.calls where calls[number].state == .given && calls[number].isHeld {
                guard calls[number].member == member,
                    calls[number].session?.channels.contains(room) == true
                else { continue }
                count("leaves of the held")
                if process.attended[.init(room, member)] != nil {
                    fail("\(memberNames[member]) is held, and told to have left", call: number)
                }
            }
        }
        if let last = process.attended[.init(room, member)],
            at - last < limits.graceMilliseconds - 64
        {
            fail("\(memberNames[member]) was held \(at - last) ms ago, and is told to have left")
        }
    }

    /// Members are examined at most twenty times a second, so that many of them do not keep a process busy.
    func checkPace(_ process: SimulatedProcess) {
        let at = process.turn ?? now
        let passed = at - process.presenceToldAt
        if passed > 0, passed < 50 { fail("events of presence are told \(passed) ms apart") }
        process.presenceToldAt = at
    }

    /// Notes which members were held just now.
    func noteAttended(_ process: SimulatedProcess) {
        // Who has left is not missed.
        if case .word(isLeft: true) = cause { return }
        if ended.contains(where: { calls[$0.call].kind == .leave }) { return }
        if mayHaveLeft { return process.attended = [:] }
        for (number, _) in ended where calls[number].isHeld {
            // Whoever came while there was no section is not counted.
            guard let member = calls[number].member,
                calls[number].coming > process.presenceSettledAt
            else { continue }
            for room in Plan.presenceChannels
            where calls[number].session?.channels.contains(room) == true {
                process.attended[.init(room, member)] = process.turn ?? now
            }
        }
    }

    /// When all have left: nobody is there by the log.
    func checkNobody() {
        for room in Plan.presenceChannels {
            guard let name = log.names[room].presence, let row = log.place(of: name) else {
                continue
            }
            for member in memberNames {
                let newest = log.file.rows[row].messages.last { Self.isAbout(member, $0) }
                let isWatched = processes.contains {
                    $0.settings.presence(on: log.names[room]) != nil
                }
                if newest?.type == "join", isWatched {
                    fail("\(member) is on \(log.names[room]) by the log, and all have left")
                }
            }
        }
    }
}

/// A member on a channel, by their places in the lists of the plan.
struct Attendee: Hashable {
    let room: Int
    let member: Int

    init(_ room: Int, _ member: Int) { (self.room, self.member) = (room, member) }
}
