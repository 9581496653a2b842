import Channels
import Configuration
import Core
import Endpoint

/// Clients of the bus socket.
extension World {
    /// Sends a command, or a part of it. False if the client cannot now.
    func command(_ number: Int) -> Bool {
        guard let bus = clients[number].bus else { return connect(number) }
        let process = processes[bus.process]
        guard process.isAlive, now >= process.frozenUntil, process.wires[bus.place].isOpen,
            process.wires[bus.place].peerClosed == .no
        else { return false }
        clients[number].nextAt = now + Int64(chance.below(800))
        if chance.happens(5), process.wires[bus.place].input.isEmpty {
            // As `nc -N` does: it sends nothing any more, and reads on.
            process.close(bus.place, .sending)
            clients[number].nextAt = .max
            count("bus clients half-closed")
            tellEnd(bus.place, process)
            return true
        }
        if process.wires[bus.place].input.isEmpty { write(number, bus.place, process) }
        pump(bus.place, process)
        return true
    }

    private func connect(_ number: Int) -> Bool {
        let able = processes.filter { $0.isAlive && !$0.isStopping && now >= $0.frozenUntil }
        guard let process = chance.one(of: able) else { return false }
        let place = process.connect(.bus(client: number))
        let id = process.wires[place].id
        clients[number].bus = (process.index, place)
        let peer = LocalPeer(user: 1000, groups: [], isOwner: number % 2 == 0)
        tell(process, .other) { core, _ in core.connected(id, client: peer) }
        return true
    }

    private func write(_ number: Int, _ place: Int, _ process: SimulatedProcess) {
        let client = clients[number]
        var text = ""
        func expect(_ kind: Wire.Expected.Kind, _ call: Int = -1) {
            process.wires[place].expected.append(.init(kind: kind, call: call))
        }
        for _ in 0..<chance.between(1, 5) {
            switch chance.below(20) {
            case 0..<8:
                let call = newBusCall(client, .publish, place, process)
                let channel = chance.below(Plan.openCount)
                let message = newText().filter { $0 != "\n" }
                calls[call].drafts = [(channel, message)]
                let name = log.names[channel].text
                text +=
                    chance.happens(500)
                    ? "publish \(name) \(message)\n"
                    : "put \(name) \(message.utf8.count) content-type=text/plain\n\(message)"
                expect(.published, call)
            case 8:
                text += "delete \(log.names[chance.below(Plan.openCount)].text)\n"
                expect(.simple("ok"))
            case 9, 10:
                text += "ping\n"
                expect(.simple("pong"))
            case 11:
                text += "channels\n"
                expect(.listing)
            case 12:
                text += "nonsense\n"
                expect(.simple("error"))
            // The answer to `message` has the form of a message.
            case 13 where chance.happens(500) || process.wires[place].subscription != nil:
                text += "status\n"
                expect(.simple("status"))
            case 13:
                text += "message \(log.file.epoch)-\(String(max(1, log.file.head), radix: 16))\n"
                expect(.message)
            case 14 where chance.happens(100):
                // Where the next command begins is not known after this: nothing more is read.
                text += "put \(log.names[0].text) much\n"
                expect(.simple("error"))
            // More than may wait for their outcome: the rest is not read before the first one is answered.
            case 14 where chance.happens(60):
                let call = newBusCall(client, .publish, place, process)
                lastText += 1
                calls[call].drafts = [(0, "m\(lastText)")]
                text += "publish \(log.names[0].text) m\(lastText)\n"
                expect(.published, call)
                for _ in 0..<300 {
                    text += "ping\n"
                    expect(.simple("pong"))
                }
            // More than the answers that may be left unread: the rest waits until it reads again.
            case 14 where chance.happens(50) && process.settings.limits.unsentBytes > 65_536:
                process.wires[place].reads = false
                process.wires[place].room = 0
                for _ in 0..<200 {
                    text += "help\n"
                    expect(.simple("help"))
                }
            default:
                if let number = process.wires[place].subscription {
                    // One at a time.
                    guard calls[number].isGreeted else { continue }
                    text += "subscribe \(log.names[0].text)\n"
                    expect(.simple("error"))
                    continue
                }
                text += subscribe(client, place, process)
            }
        }
        process.wires[place].input += Array(text.utf8)
    }

    private func newBusCall(
        _ client: Client,
        _ kind: Call.Kind,
        _ place: Int,
        _ process: SimulatedProcess
    ) -> Int {
        var call = Call(number: calls.count, client: client.number, kind: kind)
        call.process = process.index
        call.wire = place
        call.isGreeted = false
        calls.append(call)
        tally.calls += 1
        return call.number
    }

    private func subscribe(
        _ client: Client,
        _ place: Int,
        _ process: SimulatedProcess
    ) -> String {
        let number = newBusCall(client, .busLines, place, process)
        var (since, start) = ("", Session.Start.now(Cursor(epoch: log.file.epoch, offset: .start)))
        if let cursor = client.cursor {
            (since, start) = (" since \(cursor)", .cursor(cursor))
        } else if chance.happens(300) {
            (since, start) = (" since first", .first)
        } else if chance.happens(300) {
            (since, start) = (" since last:2", .last(2))
        }
        calls[number].session = Session(channels: client.channels, start: start)
        calls[number].state = .given
        calls[number].givenAt = now
        process.wires[place].calls.append(number)
        process.wires[place].subscription = number
        process.wires[place].expected.append(.init(kind: .subscribed, call: number))
        let names = client.channels.map { log.names[$0].text }.joined(separator: " ")
        note("call \(number): client \(client.number) subscribes to \(names)\(since)", call: number)
        return "subscribe \(names)\(since)\n"
    }

    /// Gives the process what has come, cut anywhere.
    func pump(_ place: Int, _ process: SimulatedProcess, all: Bool = false) {
        guard process.isAlive, process.wires[place].isOpen else { return }
        let wire = process.wires[place]
        guard !wire.input.isEmpty, !wire.isPaused, !wire.isEndTold else { return }
        guard process.core.mayRead(wire.id) else {
            process.wires[place].isPaused = true
            return
        }
        let count =
            all || chance.happens(800) ? wire.input.count : chance.between(1, wire.input.count)
        let bytes = Array(wire.input.prefix(count))
        process.wires[place].input.removeFirst(count)
        tell(process, .busBytes) { core, moment in
            bytes.withUnsafeBytes { core.received($0, from: wire.id, at: moment) }
        }
        checkUnfinished(place, process)
    }

    // MARK: Answers

    func hear(_ bytes: [UInt8], of client: Int, _ place: Int, _ process: SimulatedProcess) {
        guard let lines = process.wires[place].outputs.take(bytes) else {
            return fail("a line to client \(client) is no JSON")
        }
        let owed = process.wires[place].expected.count
        for (kind, value) in lines { hear(kind, value, of: client, place, process) }
        // Those that wait for another one's outcome are answered with it.
        let answered = owed - process.wires[place].expected.count
        if answered > 256 { fail("\(answered) commands of client \(client) waited at a time") }
        if answered == 1, lines.first?.kind == "help", process.wires[place].unsentTold >= 65_536 {
            fail("client \(client) does not read its answers, and gets more")
        }
    }

    private func hear(
        _ kind: String,
        _ value: StrictJSON,
        of client: Int,
        _ place: Int,
        _ process: SimulatedProcess
    ) {
        let wire = process.wires[place]
        if let number = wire.subscription, calls[number].isGreeted,
            ["message", "gap", "ping", "bye"].contains(kind)
        {
            calls[number].heardAt = now
            hear(kind, value, number)
            clients[client].cursor = calls[number].cursor ?? clients[client].cursor
            if let bye = calls[number].bye {
                noteBound(bye, process)
                end(number, Endings(bye: bye))
                process.wires[place].subscription = nil
                process.wires[place].isOver = true
            }
            return
        }
        guard let expected = wire.expected.first else {
            // The last line for a command that was not complete.
            if kind == "error" { return }
            return fail("a line of the kind \(kind) to client \(client) answers nothing")
        }
        process.wires[place].expected.removeFirst()
        switch expected.kind {
        case .published:
            if kind == "error" {
                if value["code"]?.text == "outcome_unknown" {
                    // It may have waited for the answers before it since that was counted.
                    process.unknownOutcomes += 1
                    if process.core.counters[.publishTime] < process.unknownOutcomes {
                        fail("client \(client) has waited too long, and that is not counted")
                    }
                }
                return
            }
            guard kind == "ok", let id = value["id"]?.text.flatMap({ Cursor($0) }) else {
                return fail("a publisher on the bus socket is told \(kind)", call: expected.call)
            }
            judge(expected.call, [id])
        case .simple(let wanted):
            if kind != wanted, kind != "error" {
                fail("client \(client) is told \(kind), not \(wanted)")
            }
        case .listing:
            if kind != "channels", kind != "error" { fail("a listing is answered \(kind)") }
        case .message:
            if kind != "message", kind != "error" { fail("a message is answered \(kind)") }
        case .subscribed: hearSubscribed(kind, value, expected.call, client, place, process)
        }
    }

    private func hearSubscribed(
        _ kind: String,
        _ value: StrictJSON,
        _ number: Int,
        _ client: Int,
        _ place: Int,
        _ process: SimulatedProcess
    ) {
        switch kind {
        case "error":
            if value["code"]?.text == "busy", !process.isStopping {
                fail("call \(number) is turned away, and others could give way", call: number)
            }
            calls[number].state = .ended
            process.wires[place].calls.removeAll { $0 == number }
            process.wires[place].subscription = nil
        case "hello", "bye":
            calls[number].isHeld = true
            calls[number].heardAt = now
            hear(kind, value, number)
            if kind == "hello" {
                clients[client].cursor = calls[number].cursor
                return
            }
            end(number, Endings(bye: calls[number].bye ?? ""))
            process.wires[place].subscription = nil
            process.wires[place].isOver = true
        default: fail("a subscription is answered \(kind)", call: number)
        }
    }
}
