/// Decides which long-polls are probed, that is sent a blank now and then, so that a front end that does not report a
/// departed client notices the departure itself and closes; and how long streams live, whose heartbeats have the same
/// effect.
///
/// It starts with what is known of a kind of server, and learns from how its requests end, both polls and streams.
/// Pure; one per process.
package struct ProbePolicy: Sendable {
    package enum Mode: String, Equatable, Sendable, CaseIterable {
        case off, auto, always
    }

    /// How a hold begins.
    package enum Opening: Equatable, Sendable {
        /// Without sending anything, so that the answer has its own status and length.
        case silent
        /// With its headers.
        case headers
        /// With its headers and a blank, and another blank at each interval.
        case probed
    }

    /// What the request itself asks for, by parameters of the web server.
    package struct Wish: Equatable, Sendable {
        /// HOLDFAST_PROBE
        package var probe: Bool?
        /// HOLDFAST_EARLY_HEADERS
        package var headers: Bool?

        package init(probe: Bool? = nil, headers: Bool? = nil) {
            self.probe = probe
            self.headers = headers
        }
    }

    /// What the end of a hold reveals about the front end.
    package enum Sign: Equatable, Sendable {
        /// The connection was closed while nothing was being sent on it.
        case shown
        /// It was closed right after a probe or a heartbeat.
        case revealed
        /// The subscriber came back while its older request was still open.
        case overtaken
    }

    /// A front end's index in the table, small enough to be stored with each held request.
    package typealias Place = UInt8

    package struct Entry: Equatable, Sendable {
        package let frontEnd: FrontEnd
        /// From all requests.
        package fileprivate(set) var evidence = Evidence()
        /// From streams alone.
        package fileprivate(set) var streams = Evidence()
        /// From the last request.
        package fileprivate(set) var wish = Wish()
        /// The number of requests that were held.
        package fileprivate(set) var holds = 0
        /// The number of streams in a row that reached the end of their life, without any departure found meanwhile.
        fileprivate var outlived = 0
        fileprivate var verdict: Verdict

        fileprivate init(_ frontEnd: FrontEnd) {
            self.frontEnd = frontEnd
            verdict = .ofKind(frontEnd)
        }

        /// Whether its long-polls are probed if the ini file leaves the decision to this policy.
        package var isSilent: Bool {
            switch verdict {
            case .open, .headersFirst: false
            case .unproved, .silent, .provedSilent: true
            }
        }

        /// Whether heartbeats find clients that have departed from a stream, or need not do so.
        package var streamsAreSafe: Bool {
            !(isSilent || wish.probe == true) || streams.isProbedWell || streams.showsAll
        }

        /// The reason for the decision, for the operator.
        package var why: String {
            switch verdict {
            case .open where evidence.shown > 0:
                "it shows departures" + (hidden > 0 ? ", \(hidden) others look like chance" : "")
            case .open:
                switch frontEnd.habit {
                case .shows, .showsAfterHeaders: "servers of this kind show departures"
                case .hides, .unknown: "nothing is known about it yet"
                }
            case .headersFirst: "it shows departures once it has sent headers"
            case .unproved:
                "a proxy in front of it may hide departures, and has not shown enough of them yet"
            case .silent: "servers of this kind hide departures"
            case .provedSilent: proof
            }
        }

        /// The departures that came to light, by the way they did.
        private var proof: String {
            var hidden: [String] = []
            if evidence.overtaken > 0 {
                hidden.append(
                    "clients came back \(evidence.overtaken) times while their older request was open"
                )
            }
            if evidence.revealed > 0 {
                hidden.append(
                    "\(evidence.revealed) departures came to light only by a probe or heartbeat"
                )
            }
            return hidden.joined(separator: ", and ") + "; \(evidence.shown) showed by themselves"
        }

        private var hidden: Int { evidence.revealed + evidence.overtaken }
    }

    fileprivate enum Verdict: Equatable {
        case open, headersFirst
        /// Behind an unknown proxy: probed until it has shown departures.
        case unproved
        /// Known for its kind; never unlearned, because a restart of such a server closes connections, too.
        case silent
        case provedSilent

        static func ofKind(_ frontEnd: FrontEnd) -> Verdict {
            switch frontEnd.habit {
            case .shows: .open
            case .showsAfterHeaders: .headersFirst
            case .hides: .silent
            case .unknown: frontEnd.isForwarded ? .unproved : .open
            }
        }
    }

    /// The first entry stands for all front ends that do not fit.
    package private(set) var entries: [Entry] = []
    private var places: [FrontEnd: Place] = [:]
    /// That of the last request, which most requests share; 0: none.
    private var latest: Place = 0
    private static let limit = 16
    /// After this many streams in a row without a departure found, heartbeats have to prove themselves again.
    private static let mostOutlived = 16

    package init() {
        entries = [Entry(FrontEnd(software: "", isForwarded: false))]
    }

    /// The index of a front end in the table; `isNew` the first time.
    package mutating func place(
        of frontEnd: FrontEnd,
        _ wish: Wish = Wish()
    ) -> (place: Place, isNew: Bool) {
        let isLatest = latest > 0 && entries[Int(latest)].frontEnd == frontEnd
        let known = isLatest ? latest : places[frontEnd]
        let isNew = known == nil && entries.count < Self.limit
        let place = known ?? (isNew ? Place(entries.count) : 0)
        if isNew {
            entries.append(Entry(frontEnd))
            places[frontEnd] = place
        }
        latest = place
        entries[Int(place)].wish = wish
        entries[Int(place)].holds += 1
        return (place, isNew)
    }

    // MARK: Decisions

    /// - Parameter headers: `early_headers` of the ini file.
    package func opening(_ place: Place, _ mode: Mode, headers: Bool, _ wish: Wish) -> Opening {
        let isProbed =
            switch mode {
            case .off: wish.probe ?? false
            case .auto: wish.probe ?? entries[Int(place)].isSilent
            case .always: wish.probe ?? true
            }
        if isProbed { return .probed }
        let habit = mode == .auto && entries[Int(place)].verdict == .headersFirst
        return wish.headers ?? (headers || habit) ? .headers : .silent
    }

    /// The time between two probes: `probe_interval`, or less if as many probes as the front end needs would not fit
    /// into a hold.
    ///
    /// - Parameter maxWaitSeconds: from the ini file; a hold ends earlier by a random part.
    package func intervalMilliseconds(
        _ place: Place,
        probeSeconds: Int,
        maxWaitSeconds: Int
    ) -> Int {
        let needed = entries[Int(place)].frontEnd.probesNeeded
        return max(1000, min(probeSeconds * 1000, maxWaitSeconds * 800 / needed))
    }

    /// The life of a stream. Where heartbeats have not been seen to find departed clients, an orphaned stream would
    /// last for `stream_life`, so its life is limited to some heartbeats instead.
    package func streamSeconds(_ place: Place, life: Int, heartbeat: Int) -> Int {
        entries[Int(place)].streamsAreSafe ? life : min(life, Self.unsafeBeats * heartbeat)
    }

    /// Enough heartbeats to find out whether they are of use.
    private static let unsafeBeats = 8

    // MARK: Learning

    /// Adds a sign, and returns whether it changed the verdict on the front end.
    ///
    /// - Parameters:
    ///   - chance: the probability that a departure which shows by itself looks like a reaction to what was sent.
    ///   - now: monotonic milliseconds.
    package mutating func saw(
        _ sign: Sign,
        _ place: Place,
        isStream: Bool = false,
        chance: Double = 0,
        at now: Int64
    ) -> Bool {
        var entry = entries[Int(place)]
        entry.evidence.add(sign, chance: chance, at: now)
        if isStream {
            entry.streams.add(sign, chance: chance, at: now)
            if sign != .overtaken { entry.outlived = 0 }
        }
        let before = entry.verdict
        switch before {
        case .silent: break
        case .open, .headersFirst, .unproved:
            if entry.evidence.hidesSome {
                entry.verdict = .provedSilent
                entry.evidence.expectShowing()
            } else if before == .unproved, entry.evidence.showsAll {
                entry.verdict = .open
            }
        case .provedSilent:
            guard entry.evidence.showsAll else { break }
            let kind = Verdict.ofKind(entry.frontEnd)
            entry.verdict = kind == .unproved ? .open : kind
        }
        entries[Int(place)] = entry
        return entry.verdict != before
    }

    /// Records that a stream reached the end of its life.
    package mutating func outlived(_ place: Place) {
        entries[Int(place)].outlived += 1
        guard entries[Int(place)].outlived >= Self.mostOutlived else { return }
        entries[Int(place)].outlived = 0
        entries[Int(place)].streams = Evidence()
    }

    // MARK: Handing over

    /// What was learned of a front end, for a process that takes over.
    package struct Learned: Sendable {
        package let frontEnd: FrontEnd
        package let evidence: Evidence
        package let streams: Evidence
        package let wish: Wish
        package let holds: Int
        package let outlived: Int
        /// The verdict where it is not that on its kind.
        package let isProvedSilent: Bool
        package let isProvedOpen: Bool

        package init(
            frontEnd: FrontEnd,
            evidence: Evidence,
            streams: Evidence,
            wish: Wish,
            holds: Int,
            outlived: Int,
            isProvedSilent: Bool,
            isProvedOpen: Bool
        ) {
            self.frontEnd = frontEnd
            self.evidence = evidence
            self.streams = streams
            self.wish = wish
            self.holds = holds
            self.outlived = outlived
            self.isProvedSilent = isProvedSilent
            self.isProvedOpen = isProvedOpen
        }
    }

    /// In the order of the places.
    package var learned: [Learned] {
        entries.map { entry in
            Learned(
                frontEnd: entry.frontEnd,
                evidence: entry.evidence,
                streams: entry.streams,
                wish: entry.wish,
                holds: entry.holds,
                outlived: entry.outlived,
                isProvedSilent: entry.verdict == .provedSilent,
                isProvedOpen: entry.verdict == .open && Verdict.ofKind(entry.frontEnd) == .unproved
            )
        }
    }

    /// Takes over what another process has learned; for a policy that has learned nothing itself.
    ///
    /// - Returns: the place of each here.
    package mutating func resume(_ all: [Learned]) -> [Place] {
        all.enumerated().map { index, learned in
            // The first stands for those that do not fit, here as there.
            let place = index == 0 ? 0 : place(of: learned.frontEnd, learned.wish).place
            guard index == 0 || place != 0 else { return 0 }
            var entry = entries[Int(place)]
            entry.evidence = learned.evidence
            entry.streams = learned.streams
            entry.wish = learned.wish
            entry.holds = learned.holds
            entry.outlived = learned.outlived
            if learned.isProvedSilent, entry.verdict != .silent { entry.verdict = .provedSilent }
            if learned.isProvedOpen, entry.verdict == .unproved { entry.verdict = .open }
            entries[Int(place)] = entry
            return place
        }
    }
}
