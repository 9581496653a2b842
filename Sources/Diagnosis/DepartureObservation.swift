/// Whether the responder lets go of those who leave.
package struct DepartureObservation: Sendable {
    package enum Outcome: Equatable, Sendable {
        /// Nobody could be asked how many are held.
        case nobodyAsked
        /// So many of the requests were seen to be held by the responder that was asked.
        case notShown(Int)
        case watched(Watch)
    }

    /// What was seen after all had left.
    package struct Watch: Equatable, Sendable {
        /// How many were let go.
        package var gone: Int
        /// Until the last of them.
        package var milliseconds: Int
        /// How endings were counted meanwhile, those of other clients too.
        package var endings: [String: Int]
        /// Nobody else waits where they were counted; else others who come or go change the count.
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
    /// The longest hold, where that is known.
    package let grantedSeconds: Int?
    /// Within which probes find who has left, where it is known that there are any.
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

    package func finding(behind way: Way) -> Finding {
        switch outcome {
        case .nobodyAsked:
            return unknown(
                "nobody says how many are held; run this where the bus socket is, or give --header for -/status."
            )
        case .notShown(let shown):
            return unknown(
                "\(shown) of \(count) held requests show at the responder that was asked; is it the one behind this URL?"
            )
        case .watched(let watch): return finding(watch, way)
        }
    }

    private func finding(_ watch: Watch, _ way: Way) -> Finding {
        let seconds = "\(watch.milliseconds / 1000).\(watch.milliseconds / 100 % 10) s"
        guard watch.gone >= count else {
            if let within = foundWithinMilliseconds, patienceSeconds * 1000 < within {
                let seconds = (within + 999) / 1000
                return unknown(
                    "probes tell after \(seconds) s; --patience \(seconds + 5) waits for them."
                )
            }
            let left = fewestLeft(watch)
            guard left > 0 else {
                return unknown(
                    "others came meanwhile, so that the \(count) that left can't be told from them; a channel that nobody else "
                        + "uses would show it."
                )
            }
            return problem(
                "of \(count) that left, \(left) \(left == 1 ? "is" : "are") still held after \(patienceSeconds) s",
                way
            )
        }
        guard watch.isAlone || allEndedAlike(watch) else {
            return unknown(
                "others came and went meanwhile, so that what ended the \(count) that left can't be told; a channel that nobody "
                    + "else uses would show it."
            )
        }
        if endedByThemselves(watch) {
            return problem(
                "the \(count) that left were held to the end of their time, \(seconds)",
                way
            )
        }
        let how =
            watch.milliseconds < 1000
            ? "at once" : watch.endings["probe", default: 0] > 0 ? "after a probe" : "after a while"
        return Finding(
            .departures,
            .ok,
            "HTTP/\(version): the \(count) that left were let go \(how), within \(seconds)."
        )
    }

    /// By their deadlines. The endings of other clients are counted with ours, so that what is clear by the time alone
    /// is decided by that: a hold ends at most half of its time early (`jitter`).
    private func endedByThemselves(_ watch: Watch) -> Bool {
        if let grantedSeconds, watch.milliseconds < grantedSeconds * 500 { return false }
        let deadlines = watch.endings["deadline", default: 0]
        return deadlines >= count || departures(watch) < count && deadlines > 0
    }

    /// How many of ours are held still, for certain: where others are counted too, those whom no ending can have been of.
    private func fewestLeft(_ watch: Watch) -> Int {
        let left = count - max(0, watch.gone)
        return watch.isAlone ? left : min(left, count - watch.endings.values.reduce(0, +))
    }

    /// Whoever they were: all of them left, or all came to the end of their time.
    private func allEndedAlike(_ watch: Watch) -> Bool {
        let all = watch.endings.values.reduce(0, +)
        return all >= count
            && [departures(watch), watch.endings["deadline", default: 0]].contains(all)
    }

    private func departures(_ watch: Watch) -> Int {
        Self.departures.reduce(0) { $0 + watch.endings[$1, default: 0] }
    }

    private static let departures = ["closed", "aborted", "probe", "newer_request", "superseded"]

    private func problem(_ sentence: String, _ way: Way) -> Finding {
        guard foundWithinMilliseconds == nil else {
            return Finding(
                .departures,
                .problem,
                "HTTP/\(version): \(sentence), although they are probed: the probes do not reach the clients.",
                Remedy.buffers.advice(for: way)
                    + [
                        "or probe_bytes = 9k   (in [hold] of holdfast.ini), for a server that gathers 8 kB"
                    ]
            )
        }
        var advice = Remedy.hidesDepartures.advice(for: way)
        if way.proxy == nil, way.server != .unknown {
            advice.append("or, if another server stands before \(way.server.name), that one:")
            // These say nothing of themselves.
            for proxy in [FrontEnd.nginx, .haproxy] {
                advice += Remedy.hidesDepartures.proxyAdvice(proxy)
            }
        }
        return Finding(
            .departures,
            .problem,
            "HTTP/\(version): \(sentence).",
            advice + ["where that does not help:", way.server.probingLine]
        )
    }

    private func unknown(_ sentence: String) -> Finding {
        Finding(.departures, .unknown, "HTTP/\(version): \(sentence)")
    }
}
