/// Which long-polls are probed: sent a blank now and then, so that a front end that stays silent about a departed client
/// finds out itself, and closes; and how long streams live, whose heartbeats do the same.
///
/// Begins with what is known of a kind of server, and learns from how its requests end, polls and streams alike. Pure; of
/// one process.
package struct ProbePolicy: Sendable {
    package enum Mode: String, Equatable, Sendable, CaseIterable {
        case off, auto, always
    }

    /// How a hold begins.
    package enum Opening: Equatable, Sendable {
        /// Without a word, so that the answer has its own status and length.
        case silent
        /// With its headers.
        case headers
        /// With its headers and a blank, and a blank at each interval.
        case probed
    }

    /// What the request itself asks for, by the web server's parameters.
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

    /// What the end of a hold tells of the front end.
    package enum Sign: Equatable, Sendable {
        /// The connection was closed while nothing was sent on it.
        case shown
        /// It was closed right after a probe or a heartbeat.
        case revealed
        /// The subscriber came back while this request of his was still open.
        case overtaken
    }

    /// A front end's place in the table, small enough to be kept with each held request.
    package typealias Place = UInt8

    package struct Entry: Equatable, Sendable {
        package let frontEnd: FrontEnd
        /// Of all requests.
        package fileprivate(set) var evidence = Evidence()
        /// Of streams alone.
        package fileprivate(set) var streams = Evidence()
        /// Of the last request.
        package fileprivate(set) var wish = Wish()
        /// Requests that were held.
        package fileprivate(set) var holds = 0
        /// Streams in a row that lived to the end of their time; none was found departed meanwhile.
        fileprivate var outlived = 0
        fileprivate var verdict: Verdict

        fileprivate init(_ frontEnd: FrontEnd) {
            self.frontEnd = frontEnd
            verdict = .ofKind(frontEnd)
        }

        /// Whether its long-polls are probed where the ini file leaves it to us.
        package var isSilent: Bool {
            switch verdict {
            case .open, .headersFirst: false
            case .unproved, .silent, .provedSilent: true
            }
        }

        /// Whether heartbeats find those who have gone from a stream, or nobody needs them to.
        package var streamsAreSafe: Bool {
            !(isSilent || wish.probe == true) || streams.isProbedWell || streams.showsAll
        }

        /// Why, for the operator.
        package var why: String {
            switch verdict {
            case .open where evidence.shown > 0:
                "it shows departures" + (hidden > 0 ? ", \(hidden) others look like chance" : "")
            case .open:
                switch frontEnd.habit {
                case .shows, .showsAfterHeaders: "servers of this kind show departures"
                case .hides, .unknown: "nothing is known of it yet"
                }
            case .headersFirst: "it shows departures once it has sent headers"
            case .unproved:
                "a proxy before it may hide departures, and has not shown enough of them yet"
            case .silent: "servers of this kind hide departures"
            case .provedSilent: proof
            }
        }

        /// What came to light and how, as far as it happened.
        private var proof: String {
            var hidden: [String] = []
            if evidence.overtaken > 0 {
                hidden.append(
                    "clients came back \(evidence.overtaken) times while their older request was open"
                )
            }
            if evidence.revealed > 0 {
                hidden.append(
                    "\(evidence.revealed) departures showed by a probe or heartbeat alone"
                )
            }
            return hidden.joined(separator: ", and ") + "; \(evidence.shown) showed by themselves"
        }

        private var hidden: Int { evidence.revealed + evidence.overtaken }
    }

    fileprivate enum Verdict: Equatable {
        case open, headersFirst
        /// Behind a proxy of which nothing is known: probed until it has shown departures.
        case unproved
        /// Known of its kind; not unlearned, since a restart of such a server closes connections, too.
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

    /// The first stands for all that do not fit.
    package private(set) var entries: [Entry] = []
    private var places: [FrontEnd: Place] = [:]
    private static let limit = 16
    /// After so many streams in a row that nobody was found to have left, heartbeats have to prove themselves again.
    private static let mostOutlived = 16

    package init() {
        entries = [Entry(FrontEnd(software: "", isForwarded: false))]
    }

    /// Where a front end stands in the table; `isNew` the first time.
    package mutating func place(
        of frontEnd: FrontEnd,
        _ wish: Wish = Wish()
    ) -> (place: Place, isNew: Bool) {
        let known = places[frontEnd]
        let isNew = known == nil && entries.count < Self.limit
        let place = known ?? (isNew ? Place(entries.count) : 0)
        if isNew {
            entries.append(Entry(frontEnd))
            places[frontEnd] = place
        }
        entries[Int(place)].wish = wish
        entries[Int(place)].holds += 1
        return (place, isNew)
    }

    // MARK: What is done

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

    /// Between two probes: `probe_interval`, or less where the probes that it takes would not fit into a hold.
    ///
    /// - Parameter maxWaitSeconds: of the ini file; a hold ends a little earlier by chance.
    package func intervalMilliseconds(
        _ place: Place,
        probeSeconds: Int,
        maxWaitSeconds: Int
    ) -> Int {
        let needed = entries[Int(place)].frontEnd.probesNeeded
        return max(1000, min(probeSeconds * 1000, maxWaitSeconds * 800 / needed))
    }

    /// How long a stream lives. Where heartbeats have not been seen to find who has gone, a stream of nobody would last
    /// `stream_life`, so that it is some heartbeats instead.
    package func streamSeconds(_ place: Place, life: Int, heartbeat: Int) -> Int {
        entries[Int(place)].streamsAreSafe ? life : min(life, Self.unsafeBeats * heartbeat)
    }

    /// Enough to find out whether they are of use.
    private static let unsafeBeats = 8

    // MARK: What is learned

    /// Takes a sign in. Whether it changed what is thought of the front end.
    ///
    /// - Parameters:
    ///   - chance: that a departure which shows by itself would have been taken for an echo of what was sent.
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

    /// A stream lived to the end of its time.
    package mutating func outlived(_ place: Place) {
        entries[Int(place)].outlived += 1
        guard entries[Int(place)].outlived >= Self.mostOutlived else { return }
        entries[Int(place)].outlived = 0
        entries[Int(place)].streams = Evidence()
    }
}
