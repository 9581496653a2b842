/// Whether the responder releases departed clients.
package struct DepartureObservation: Sendable {
    package enum Outcome: Equatable, Sendable {
        /// There is no responder to ask how many requests are held.
        case noResponder
        /// The responder reported only this many of the requests as held.
        case notShown(Int)
        case watched(Watch)
    }

    /// What was seen after all clients had left.
    package struct Watch: Equatable, Sendable {
        /// How many were released.
        package var gone: Int
        /// Time until the last of them was released.
        package var milliseconds: Int
        /// The endings counted meanwhile, including those of other clients.
        package var endings: [String: Int]
        /// No other client waits where they were counted; otherwise clients that come or go change the count.
        package var isAlone: Bool

        package init(
            gone: Int,
            milliseconds: Int,
            endings: [String: Int],
            isAlone: Bool = true
        ) {
            self.gone = gone
            self.milliseconds = milliseconds
            self.endings = endings
            self.isAlone = isAlone
        }
    }

    /// `1.1`, `2`
    package let version: String
    package let count: Int
    package let patienceSeconds: Int
    /// The longest hold, if it is known.
    package let grantedSeconds: Int?
    /// The time within which probes find departed clients; nil if no probes are known to be sent.
    package let foundWithinMilliseconds: Int?
    package let outcome: Outcome

    package init(
        version: String,
        count: Int,
        patienceSeconds: Int,
        grantedSeconds: Int?,
        foundWithinMilliseconds: Int? = nil,
        outcome: Outcome
    ) {
        self.version = version
        self.count = count
        self.patienceSeconds = patienceSeconds
        self.grantedSeconds = grantedSeconds
        self.foundWithinMilliseconds = foundWithinMilliseconds
        self.outcome = outcome
    }

    package func finding(behind servers: ServerChain) -> Finding {
        switch outcome {
        case .noResponder:
            return unknown(
                "nothing says how many requests are held; run this where the bus socket is, or give --header for -/status."
            )
        case .notShown(let shown):
            return unknown(
                "the responder that was asked reports \(shown) of \(count) requests as held; is it the one behind this URL?"
            )
        case .watched(let watch): return finding(watch, servers)
        }
    }

    private func finding(_ watch: Watch, _ servers: ServerChain) -> Finding {
        let seconds = "\(watch.milliseconds / 1000).\(watch.milliseconds / 100 % 10) s"
        guard watch.gone >= count else {
            if let within = foundWithinMilliseconds, patienceSeconds * 1000 < within {
                let seconds = (within + 999) / 1000
                return unknown(
                    "probes find departures after \(seconds) s; --patience \(seconds + 5) waits for them."
                )
            }
            let left = fewestLeft(watch)
            guard left > 0 else {
                return unknown(
                    "other clients came meanwhile, so the \(count) that left cannot be told from them; use a channel that nobody else "
                        + "uses."
                )
            }
            return problem(
                "of \(count) that left, \(left) \(left == 1 ? "is" : "are") still held after \(patienceSeconds) s",
                servers
            )
        }
        guard watch.isAlone || allEndedAlike(watch) else {
            return unknown(
                "other clients came and went meanwhile, so what ended the \(count) that left is unknown; use a channel that nobody "
                    + "else uses."
            )
        }
        if endedByThemselves(watch) {
            return problem(
                "the \(count) that left were held until their deadline, \(seconds)",
                servers
            )
        }
        let how =
            watch.milliseconds < 1000
            ? "at once" : watch.endings["probe", default: 0] > 0 ? "after a probe" : "after a while"
        return Finding(
            .departures,
            .ok,
            "HTTP/\(version): the \(count) that left were released \(how), within \(seconds)."
        )
    }

    /// Whether the deadlines ended them. The endings of other clients are counted, too, so the time decides where it is
    /// conclusive: a hold ends at most half of its time early (`jitter`).
    private func endedByThemselves(_ watch: Watch) -> Bool {
        if let grantedSeconds, watch.milliseconds < grantedSeconds * 500 { return false }
        let deadlines = watch.endings["deadline", default: 0]
        return deadlines >= count || departures(watch) < count && deadlines > 0
    }

    /// The least number of our requests that are still held: if others are counted, too, those that no counted ending
    /// can belong to.
    private func fewestLeft(_ watch: Watch) -> Int {
        let left = count - max(0, watch.gone)
        return watch.isAlone ? left : min(left, count - watch.endings.values.reduce(0, +))
    }

    /// Whether all counted endings are of one kind, whichever clients they belong to: departures, or deadlines.
    private func allEndedAlike(_ watch: Watch) -> Bool {
        let all = watch.endings.values.reduce(0, +)
        return all >= count
            && [departures(watch), watch.endings["deadline", default: 0]].contains(all)
    }

    private func departures(_ watch: Watch) -> Int {
        Self.departures.reduce(0) { $0 + watch.endings[$1, default: 0] }
    }

    private static let departures = ["closed", "aborted", "probe", "newer_request", "superseded"]

    private func problem(_ sentence: String, _ servers: ServerChain) -> Finding {
        guard foundWithinMilliseconds == nil else {
            return Finding(
                .departures,
                .problem,
                "HTTP/\(version): \(sentence), although they are probed: the probes do not reach the clients.",
                Remedy.buffers.advice(for: servers)
                    + [
                        "or probe_bytes = 9k   (in [hold] of holdfast.ini), for a server that buffers 8 kB"
                    ]
            )
        }
        var advice = Remedy.hidesDepartures.advice(for: servers)
        if servers.proxy == nil, servers.server != .unknown {
            advice.append(
                "or, if there is another server in front of \(servers.server.name), that one:"
            )
            // These do not identify themselves in answers.
            for proxy in [ServerKind.nginx, .haproxy] {
                advice += Remedy.hidesDepartures.proxyAdvice(proxy)
            }
        }
        return Finding(
            .departures,
            .problem,
            "HTTP/\(version): \(sentence).",
            advice + ["where that does not help:", servers.server.probingLine]
        )
    }

    private func unknown(_ sentence: String) -> Finding {
        Finding(.departures, .unknown, "HTTP/\(version): \(sentence)")
    }
}
