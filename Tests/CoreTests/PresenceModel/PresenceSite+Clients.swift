import Channels
import FastCGI
import Liveness

@testable import Core

extension PresenceSite {
    /// Somebody who is on some channels, as long as it has a request there.
    final class Client {
        let name: String
        let channels: String
        /// Nil: it has no id, and supersedes nothing.
        let subscriber: String?
        let polls: Bool
        let keys: [Key]
        /// When it comes again; `.max` while it is here, or until it is sent.
        var comesAt: Int64 = 0

        init(name: String, channels: String, subscriber: String?, polls: Bool) {
            (self.name, self.channels) = (name, channels)
            (self.subscriber, self.polls) = (subscriber, polls)
            keys = channels.split(separator: ",").map {
                Key(channel: channel(String($0)), topic: "name \(name)")
            }
        }
    }

    /// A request that is held.
    final class Hold {
        let client: Client
        let machine: Machine
        let process: Process
        let connection: ConnectionID
        let since: Int64
        /// What it makes its client a member of: nothing if no section named any of its channels when it came.
        var keys: [Key]
        /// Its client has another one, and this one is lost then.
        var endsAt: Int64 = .max

        init(_ client: Client, _ machine: Machine, _ process: Process, at now: Int64) {
            (self.client, self.machine, self.process, since) = (client, machine, process, now)
            let isNamed = client.keys.contains { machine.rooms.contains($0.channel.text) }
            keys = isNamed ? client.keys : []
            connection = process.world.connect()
        }
    }

    func current(_ client: Client) -> Hold? {
        holds.last { $0.client === client && $0.endsAt == .max }
    }

    /// Holds a request, on some machine that runs, or on this one.
    func come(_ client: Client, to place: Machine? = nil) {
        let running = machines.values.filter { !$0.isStalled && !$0.processes.isEmpty }
            .sorted { $0.id < $1.id }
        let machine = place.flatMap { $0.isStalled || $0.processes.isEmpty ? nil : $0 }
        guard let machine = machine ?? pick(running), let process = pick(machine.processes) else {
            client.comesAt = now + 2000
            return
        }
        client.comesAt = .max
        let hold = Hold(client, machine, process, at: now)
        var uri = "/push/\(client.channels)?name=\(client.name)"
        uri += client.polls ? "&since=now&wait=25" : "&stream=ndjson"
        if let subscriber = client.subscriber { uri += "&subscriber=\(subscriber)" }
        holds.append(hold)
        process.world.get(uri, on: hold.connection)
        for key in hold.keys {
            note(key)
            held[key]?.lastReached = now
        }
        count("came")
    }

    /// Clients whose requests have ended come again, and some do something else.
    func moveClients() {
        for hold in holds {
            if hold.endsAt <= now, !hold.machine.isStalled {
                hold.process.world.lose(hold.connection)
                holds.removeAll { $0 === hold }
                continue
            }
            let world = hold.process.world
            let isOver = world.take(hold.connection).contains(where: \.isLast)
            guard isOver || world.dropped.contains(hold.connection) else { continue }
            holds.removeAll { $0 === hold }
            world.lose(hold.connection)
            guard hold.endsAt == .max else { continue }
            // At once on the same machine where all is to be quiet.
            if isQuiet {
                come(hold.client, to: hold.machine)
            } else {
                hold.client.comesAt = now + pick(0...12) * Self.tick
            }
        }
        for client in clients {
            if current(client) == nil, client.comesAt == .max {
                // Its process was killed.
                client.comesAt = now + pick(0...16) * Self.tick
            }
            if !isQuiet, client.comesAt <= now { come(client) }
            if !isQuiet, Int.random(in: 0..<240, using: &random) == 0 { act(client) }
        }
    }

    private func act(_ client: Client) {
        guard let hold = current(client), !hold.machine.isStalled else { return }
        let (machine, world) = (hold.machine, hold.process.world)
        switch pick(0...9) {
        case 0...2:
            // It moves, and the connection that it had is lost later, or by what supersedes it.
            hold.endsAt = now + pick(0...80) * Self.tick
            come(client)
            count("moved")
        case 3...5:
            world.lose(hold.connection)
            holds.removeAll { $0 === hold }
            client.comesAt = now + pick(1...20) * Self.tick
        case 6, 7:
            world.lose(hold.connection)
            holds.removeAll { $0 === hold }
            client.comesAt = now + pick(40...400) * Self.tick
        default:
            guard let subscriber = client.subscriber else { return }
            world.request("POST", "/push/-/leave?subscriber=\(subscriber)", on: world.connect())
            holds.removeAll { $0 === hold }
            world.lose(hold.connection)
            client.comesAt = now + pick(4...400) * Self.tick
            tell("\(client.name) leaves \(client.channels) on \(machine.id)")
            // No grace period follows, and another process ends what it holds as soon as it hears of it.
            for other in holds where other.client === client && other.machine === machine {
                other.keys = []
            }
            for key in client.keys {
                held[key]?.steadySince = .max
                held[key]?.lastOn = [:]
            }
            count("left")
        }
    }
}
