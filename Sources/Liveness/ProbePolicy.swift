/// Which long-polls are probed: sent a blank now and then, so that a front end that stays silent about a departed client
/// finds out itself, and closes.
///
/// Begins with what is known of a kind of server, and learns from how its requests end. Pure; of one process.
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
        /// It was closed right after a probe.
        case revealed
        /// The subscriber came back while this request of his was still open.
        case overtaken
    }

    /// A front end's place in the table, small enough to be kept with each held request.
    package typealias Place = UInt8

    package struct Entry: Equatable, Sendable {
        package let frontEnd: FrontEnd
        package fileprivate(set) var shown = 0
        package fileprivate(set) var revealed = 0
        package fileprivate(set) var overtaken = 0
        fileprivate var verdict: Verdict

        /// Whether its long-polls are probed where the ini file leaves it to us.
        package var isSilent: Bool { verdict == .silent || verdict == .provedSilent }

        /// Why, for the operator.
        package var why: String {
            switch verdict {
            case .open:
                frontEnd.habit == .unknown && shown == 0
                    ? "nothing is known of it yet" : "it shows departures"
            case .headersFirst: "it shows departures once it has sent headers"
            case .silent: "servers of this kind hide departures"
            case .provedSilent:
                "clients came back \(overtaken) times while their older request was open, and \(revealed) departures "
                    + "showed by a probe alone; \(shown) showed by themselves"
            }
        }
    }

    fileprivate enum Verdict: Equatable {
        case open, headersFirst
        /// Known of its kind; not unlearned, since a restart of such a server closes connections, too.
        case silent
        case provedSilent
    }

    /// The first stands for all that do not fit.
    package private(set) var entries: [Entry] = []
    private var places: [FrontEnd: Place] = [:]
    private static let limit = 16
    /// So few may be chance: two tabs with one id, a page that gave up its request a moment before.
    private static let fewestSigns = 3
    /// What was seen long ago counts less: above so many signs all are halved.
    private static let memory = 4096

    package init() {
        entries = [Entry(frontEnd: FrontEnd(software: "", isForwarded: false), verdict: .open)]
    }

    /// Where a front end stands in the table; `isNew` the first time.
    package mutating func place(of frontEnd: FrontEnd) -> (place: Place, isNew: Bool) {
        if let place = places[frontEnd] { return (place, false) }
        guard entries.count < Self.limit else { return (0, false) }
        let place = Place(entries.count)
        let verdict: Verdict =
            switch frontEnd.habit {
            case .shows, .unknown: .open
            case .showsAfterHeaders: .headersFirst
            case .hides: .silent
            }
        entries.append(Entry(frontEnd: frontEnd, verdict: verdict))
        places[frontEnd] = place
        return (place, true)
    }

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

    /// Takes a sign in. Whether it changed what is thought of the front end.
    package mutating func saw(_ sign: Sign, _ place: Place) -> Bool {
        var entry = entries[Int(place)]
        switch sign {
        case .shown: entry.shown += 1
        case .revealed: entry.revealed += 1
        case .overtaken: entry.overtaken += 1
        }
        if entry.shown + entry.revealed + entry.overtaken > Self.memory {
            entry.shown /= 2
            entry.revealed /= 2
            entry.overtaken /= 2
        }
        let before = entry.verdict
        let hidden = entry.revealed + entry.overtaken
        switch entry.verdict {
        case .silent: break
        case .open, .headersFirst:
            // A share of them is enough: probes cost little, and a ghost lasts.
            if hidden >= Self.fewestSigns, hidden * 4 >= entry.shown {
                entry.verdict = .provedSilent
            }
        case .provedSilent:
            if hidden * 16 < entry.shown {
                entry.verdict =
                    entry.frontEnd.habit == .showsAfterHeaders ? .headersFirst : .open
            }
        }
        entries[Int(place)] = entry
        return entry.verdict != before
    }
}
