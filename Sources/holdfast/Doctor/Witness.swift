internal import BusClient
internal import Diagnosis
internal import Text

/// The responder's own word, on the bus socket or by the operator's pages of the site.
final class Witness {
    /// What all its processes count.
    struct Figures {
        var held: Int
        var endings: [String: Int]
        /// The front ends, as the process that was asked sees them.
        var frontEnds: [Way.Seen]
        /// How many requests a process holds.
        var heldLimit: Int?

        init?(_ status: JSONValue) {
            guard let held = status["held"]?.integer else { return nil }
            self.held = held
            endings = (status["ended"]?.members ?? [])
                .reduce(into: [:]) { $0[$1.name] = $1.value.integer }
            heldLimit = status["limits"]?["held"]?.integer
            frontEnds = (status["front_ends"]?.elements ?? []).map { one in
                Way.Seen(
                    software: one["server"]?.string ?? "",
                    isForwarded: one["forwarded"]?.boolean ?? false,
                    isProbed: one["probed"]?.boolean ?? false,
                    holds: one["holds"]?.integer ?? 0,
                    foundWithinMilliseconds: one["found_within_milliseconds"]?.integer
                )
            }
        }

        /// How often each ending came since.
        func endings(since before: Figures) -> [String: Int] {
            endings.merging(before.endings) { $0 - $1 }.filter { $0.value > 0 }
        }
    }

    private enum Source {
        case bus(BusQuestions, Publisher)
        case pages(Site)
        case nobody
    }

    private var source: Source

    /// - Parameter door: to the bus, where it may be there.
    init(_ door: BusDoor?, _ site: Site) throws {
        if let door {
            let questions = BusQuestions(door)
            if (try? questions.ask("ping")) != nil {
                source = .bus(questions, Publisher(door, timeoutSeconds: 5))
                return
            }
        }
        source = try Self.pages(site)
    }

    /// A page to log in may be 200, too.
    private static func pages(_ site: Site) throws -> Source {
        try page("-/status", of: site).flatMap(Figures.init) == nil ? .nobody : .pages(site)
    }

    /// Whether it was asked on this machine.
    var isLocal: Bool {
        if case .bus = source { true } else { false }
    }

    var isThere: Bool {
        if case .nobody = source { false } else { true }
    }

    /// The bus turned out to be another one than this site's.
    func turnsAway(to site: Site) throws {
        source = try Self.pages(site)
    }

    func figures() throws -> Figures? {
        switch source {
        case .bus(let questions, _):
            return Figures(try questions.ask("status").value)
        case .pages(let site): return try Self.page("-/status", of: site).flatMap(Figures.init)
        case .nobody: return nil
        }
    }

    /// How many wait for a channel, in all processes; nil where it is not among those that are remembered.
    func held(on channel: String) throws -> Int? {
        switch source {
        case .bus(let questions, _): return try listed(channel, questions)
        case .pages(let site):
            return try Self.page("-/channels/\(channel)", of: site)?["held"]?.integer
        case .nobody: return nil
        }
    }

    /// Names of channels that are remembered, some of them.
    func channels(atMost limit: Int) throws -> [String] {
        guard case .bus(let questions, _) = source else { return [] }
        var names: [String] = []
        try questions.channels(atMost: limit) { channel in
            if let name = channel["channel"]?.string { names.append(name) }
        }
        return names
    }

    // MARK: Publishing

    /// A message that goes by itself, should nobody remove it; throws where this user may not publish.
    func publish(_ text: String, to channel: String) throws {
        guard case .bus(_, let publisher) = source else {
            throw BusClientError.absent("the bus socket is not there, or not for this user.")
        }
        _ = try publisher.put(Array(text.utf8), to: channel, options: ["ttl=600"])
    }

    /// Nothing depends on it.
    func delete(_ channel: String) {
        guard case .bus(let questions, _) = source else { return }
        _ = try? questions.ask("delete \(channel)")
    }

    // MARK: Asking

    /// The listing begins behind a name: from the longest beginning of this one that is a name too.
    private func listed(_ channel: String, _ questions: BusQuestions) throws -> Int? {
        var after = String(channel.dropLast())
        while after.hasSuffix("/") || after.hasSuffix(".") || after.hasSuffix("-") {
            after.removeLast()
        }
        while true {
            let answer = try questions.ask(after.isEmpty ? "channels" : "channels \(after)")
            for entry in answer["channels"]?.elements ?? [] {
                guard let name = entry["channel"]?.string else { continue }
                if name == channel { return entry["held"]?.integer }
                if name.utf8.lexicographicallyPrecedes(channel.utf8) == false { return nil }
            }
            guard let next = answer["next"]?.string else { return nil }
            after = next
        }
    }

    private static func page(_ target: String, of site: Site) throws -> JSONValue? {
        guard let answer = try site.answer(target), answer.head?.status == 200 else { return nil }
        return JSONValue(answer.body)
    }
}
