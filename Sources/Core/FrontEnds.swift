internal import Channels
internal import Configuration
internal import Endpoint
internal import Liveness

/// The servers in front of this process: which of them are probed, and how long streams live behind them.
struct FrontEnds {
    private(set) var policy = ProbePolicy()
    /// As the ini file says.
    private var settings: HoldSettings
    /// That a bound on addresses can't be kept has been said.
    private var hasMissedAddress = false

    init(settings: HoldSettings) { self.settings = settings }

    /// The ini file was read again.
    mutating func reload(_ settings: HoldSettings) { self.settings = settings }

    /// Departures follow a probe through all hops within this time.
    static let echoMilliseconds: Int64 = 250

    /// How much earlier than its interval the first probe comes, so that only what follows a probe is taken for its echo.
    static let earlyMilliseconds = echoMilliseconds + 2 * DeadlineWheel.tickMilliseconds

    /// The front end's place in the table; reports once for each that it is probed.
    mutating func place(of origin: RequestOrigin, _ actions: inout Actions) -> ProbePolicy.Place {
        let (place, isNew) = policy.place(of: origin.frontEnd, origin.wish)
        if isNew, settings.probe == .auto, policy.entries[Int(place)].isSilent {
            actions.append(.notice(.notice, sentence(place)))
        }
        return place
    }

    /// Takes over what another process has learned.
    ///
    /// - Returns: the place of each here.
    mutating func resume(_ learned: [ProbePolicy.Learned]) -> [ProbePolicy.Place] {
        policy.resume(learned)
    }

    /// How a hold begins.
    func opening(_ place: ProbePolicy.Place, _ wish: ProbePolicy.Wish) -> ProbePolicy.Opening {
        policy.opening(place, settings.probe, headers: settings.earlyHeaders, wish)
    }

    /// Whether long-polls behind it are probed, as its last request said.
    func isProbed(_ place: ProbePolicy.Place) -> Bool {
        let wish = policy.entries[Int(place)].wish
        return policy.opening(place, settings.probe, headers: false, wish) == .probed
    }

    var blanks: [UInt8] { [UInt8](repeating: UInt8(ascii: " "), count: settings.probeBytes) }

    /// How often a live stream reports its position, so that both sides notice when the other is gone.
    var heartbeatMilliseconds: Int64 { Int64(settings.heartbeatSeconds) * 1000 }

    func probeMilliseconds(_ place: ProbePolicy.Place) -> Int64 {
        Int64(
            policy.intervalMilliseconds(
                place,
                probeSeconds: settings.probeSeconds,
                maxWaitSeconds: settings.maxWaitSeconds
            )
        )
    }

    /// Until the first probe of a hold, which is a little early.
    func firstProbeMilliseconds(_ place: ProbePolicy.Place) -> Int64 {
        probeMilliseconds(place) - Self.earlyMilliseconds
    }

    /// - Parameter life: the life for other reasons.
    func streamSeconds(_ place: ProbePolicy.Place, life: Int) -> Int {
        policy.streamSeconds(place, life: life, heartbeat: settings.heartbeatSeconds)
    }

    // MARK: What is learned

    /// The peer's end of stream ends a hold: what that shows of the front end, and how it is counted.
    ///
    /// - Parameters:
    ///   - nextProbe: when its next probe or heartbeat was due; nil without one.
    ///   - messagesAt: for a stream, when messages last went to it.
    mutating func departed(
        _ held: Holds.Held,
        nextProbe: Int64?,
        messagesAt: Int64,
        now: Int64,
        _ actions: inout Actions
    ) -> Ending {
        guard held.kind != .lines else { return .closed }
        let isStream = held.kind == .stream
        guard isStream || held.kind == .probedPoll else {
            saw(.shown, held.frontEnd, now: now, &actions)
            return .closed
        }
        let interval = isStream ? heartbeatMilliseconds : probeMilliseconds(held.frontEnd)
        let since = now - ((nextProbe ?? now + interval) - interval)
        // Slightly below zero if the wheel has rounded, or far below if a reload has changed the interval.
        let isEcho = (-DeadlineWheel.tickMilliseconds...Self.echoMilliseconds).contains(since)
        // A departure after a message may be a reaction to it, or not: nothing is learned from that.
        if !isStream || now - messagesAt > Self.echoMilliseconds {
            saw(
                isEcho ? .revealed : .shown,
                held.frontEnd,
                isStream: isStream,
                chance: min(1, Double(Self.echoMilliseconds) / Double(interval)),
                now: now,
                &actions
            )
        }
        return isEcho ? .probe : .closed
    }

    mutating func saw(
        _ sign: ProbePolicy.Sign,
        _ place: ProbePolicy.Place,
        isStream: Bool = false,
        chance: Double = 0,
        now: Int64,
        _ actions: inout Actions
    ) {
        let wereSafe = policy.entries[Int(place)].streamsAreSafe
        let isNews = policy.saw(sign, place, isStream: isStream, chance: chance, at: now)
        if isNews, settings.probe == .auto { actions.append(.notice(.notice, sentence(place))) }
        tellOfStreams(place, wereSafe: wereSafe, &actions)
    }

    /// A stream reached the end of its life, perhaps without a client.
    mutating func outlived(_ place: ProbePolicy.Place, _ actions: inout Actions) {
        let wereSafe = policy.entries[Int(place)].streamsAreSafe
        policy.outlived(place)
        tellOfStreams(place, wereSafe: wereSafe, &actions)
    }

    // MARK: What the operator is told

    private func name(_ place: ProbePolicy.Place) -> String {
        let frontEnd = policy.entries[Int(place)].frontEnd
        let server = frontEnd.software.isEmpty ? "an unnamed server" : frontEnd.software
        return server + (frontEnd.isForwarded ? " behind a proxy" : "")
    }

    /// A request has come without the address that a bound counts; said once.
    mutating func missesAddress(_ actions: inout Actions) {
        guard !hasMissedAddress else { return }
        hasMissedAddress = true
        actions.append(
            .notice(
                .warning,
                "a request came without REMOTE_ADDR, and held_per_address does not bound such requests; let the "
                    + "web server pass it (nginx: fastcgi_param REMOTE_ADDR $remote_addr;)"
            )
        )
    }

    private func sentence(_ place: ProbePolicy.Place) -> String {
        let entry = policy.entries[Int(place)]
        let seconds = Double(probeMilliseconds(place) / 100) / 10
        let shown = seconds == seconds.rounded() ? "\(Int(seconds))" : "\(seconds)"
        let what = entry.isSilent ? "are probed every \(shown) s" : "are not probed any more"
        return "long-polls behind \(name(place)) \(what): \(entry.why)"
    }

    private func tellOfStreams(
        _ place: ProbePolicy.Place,
        wereSafe: Bool,
        _ actions: inout Actions
    ) {
        let isSafe = policy.entries[Int(place)].streamsAreSafe
        guard isSafe != wereSafe else { return }
        let why =
            isSafe
            ? "departures are revealed"
            : "heartbeats have not revealed a departed client there"
        let most = streamSeconds(place, life: settings.streamSeconds)
        actions.append(
            .notice(.notice, "streams behind \(name(place)) live \(most) s at most: \(why)")
        )
    }
}
