internal import BusClient
internal import Diagnosis
internal import Text

/// What the responder says, asked on the bus socket or through the operator's pages of the site.
final class ResponderClient {
    /// The counts of all its processes.
    struct Figures {
        var held: Int
        var endings: [String: Int]
        /// The front ends, as seen by the process that was asked.
        var frontEnds: [ServerChain.FrontEndReport]
        /// How many requests a process can hold.
        var heldLimit: Int?
        /// Nil if this machine is a bus of its own.
        var machines: MachinesObservation?

        init?(_ status: JSONValue) {
            guard let held = status["held"]?.integer else { return nil }
            self.held = held
            endings = (status["ended"]?.members ?? [])
                .reduce(into: [:]) { $0[$1.name] = $1.value.integer }
            heldLimit = status["limits"]?["held"]?.integer
            machines = status["engine"].map { engine in
                MachinesObservation(
                    head: engine["head"]?.integer,
                    lagGroups: engine["lag_groups"]?.integer,
                    lagMilliseconds: engine["lag_milliseconds"]?.integer,
                    limitSeconds: status["limits"]?["lag_seconds"]?.integer,
                    canPublish: engine["publishing"]?.boolean ?? false,
                    canFollow: engine["following"]?.boolean,
                    machines: engine["machines"]?.elements?.count ?? 0,
                    away: engine["machines_away"]?.integer ?? 0
                )
            }
            frontEnds = (status["front_ends"]?.elements ?? []).map { one in
                ServerChain.FrontEndReport(
                    software: one["server"]?.string ?? "",
                    isForwarded: one["forwarded"]?.boolean ?? false,
                    isProbed: one["probed"]?.boolean ?? false,
                    holds: one["holds"]?.integer ?? 0,
                    foundWithinMilliseconds: one["found_within_milliseconds"]?.integer
                )
            }
        }

        /// The number of endings of each kind since then.
        func endings(since before: Figures) -> [String: Int] {
            endings.merging(before.endings) { $0 - $1 }.filter { $0.value > 0 }
        }
    }

    private enum Source {
        case bus(BusSession, Publisher)
        case pages(Site)
        case nobody
    }

    private var source: Source

    /// - Parameter connector: the way to the bus, if there may be one.
    init(_ connector: BusConnector?, _ site: Site) throws(DoctorError) {
        if let connector {
            let session = BusSession(connector)
            if (try? session.ask("ping")) != nil {
                source = .bus(session, Publisher(connector, timeoutSeconds: 5))
                return
            }
        }
        source = try Self.pages(site)
    }

    /// A login page may be a 200, too.
    private static func pages(_ site: Site) throws(DoctorError) -> Source {
        try page("-/status", of: site).flatMap(Figures.init) == nil ? .nobody : .pages(site)
    }

    /// Whether a responder on this machine is asked.
    var isLocal: Bool {
        if case .bus = source { true } else { false }
    }

    var isThere: Bool {
        if case .nobody = source { false } else { true }
    }

    /// Asks the site's pages from now on, because the bus turned out not to be this site's.
    func askPages(of site: Site) throws(DoctorError) {
        source = try Self.pages(site)
    }

    func figures() throws(DoctorError) -> Figures? {
        switch source {
        case .bus(let session, _):
            return Figures(
                try Self.asking { () throws(BusClientError) in try session.ask("status").value }
            )
        case .pages(let site): return try Self.page("-/status", of: site).flatMap(Figures.init)
        case .nobody: return nil
        }
    }

    /// The number of requests held for a channel, in all processes; nil if the channel is not remembered.
    func held(on channel: String) throws(DoctorError) -> Int? {
        switch source {
        case .bus(let session, _):
            return try Self.asking { () throws(BusClientError) in try listed(channel, session) }
        case .pages(let site):
            return try Self.page("-/channels/\(channel)", of: site)?["held"]?.integer
        case .nobody: return nil
        }
    }

    /// Names of some of the channels that are remembered.
    func channels(atMost limit: Int) throws(DoctorError) -> [String] {
        guard case .bus(let session, _) = source else { return [] }
        var names: [String] = []
        try Self.asking { () throws(BusClientError) in
            try session.channels(atMost: limit) { channel in
                if let name = channel["channel"]?.string { names.append(name) }
            }
        }
        return names
    }

    // MARK: Publishing

    /// Publishes a message that expires in case nobody removes it; throws if this user may not publish.
    func publish(_ text: String, to channel: String) throws(DoctorError) {
        guard case .bus(_, let publisher) = source else {
            throw DoctorError("the bus socket does not exist, or this user may not use it.")
        }
        _ = try Self.asking { () throws(BusClientError) in
            try publisher.put(Array(text.utf8), to: channel, options: ["ttl=600"])
        }
    }

    /// Removes the channel's messages; a failure is ignored, because nothing depends on it.
    func delete(_ channel: String) {
        guard case .bus(let session, _) = source else { return }
        _ = try? session.ask("delete \(channel)")
    }

    // MARK: Asking

    /// What the bus refuses, or does not answer, ends the examination.
    private static func asking<T>(
        _ question: () throws(BusClientError) -> T
    ) throws(DoctorError) -> T {
        do throws(BusClientError) {
            return try question()
        } catch {
            throw DoctorError(error.description)
        }
    }

    /// Finds a channel in the listing, which starts after a name: after the longest proper prefix of this one that is a
    /// name, too.
    private func listed(
        _ channel: String,
        _ session: BusSession
    ) throws(BusClientError) -> Int? {
        var after = String(channel.dropLast())
        while after.hasSuffix("/") || after.hasSuffix(".") || after.hasSuffix("-") {
            after.removeLast()
        }
        while true {
            let answer = try session.ask(after.isEmpty ? "channels" : "channels \(after)")
            for entry in answer["channels"]?.elements ?? [] {
                guard let name = entry["channel"]?.string else { continue }
                if name == channel { return entry["held"]?.integer }
                if name.utf8.lexicographicallyPrecedes(channel.utf8) == false { return nil }
            }
            guard let next = answer["next"]?.string else { return nil }
            after = next
        }
    }

    private static func page(_ target: String, of site: Site) throws(DoctorError) -> JSONValue? {
        guard let answer = try site.answer(target), answer.head?.status == 200 else { return nil }
        return JSONValue(answer.body)
    }
}
