internal import Configuration
internal import Diagnosis
internal import Reactor

/// What is looked at, in this order; each subject has a file of its own or a function below.
struct Examination {
    let site: Site
    let witness: Witness
    let settings: Settings?
    /// The channel that was named.
    let channel: String?
    let origin: String?
    let server: FrontEnd

    /// How many leave at once.
    static let departing = 5

    /// - Parameter report: given each finding as soon as it is known.
    func run(_ report: (Finding) -> Void) throws {
        let versions = try versions()
        report(versions.finding(behind: server))
        let (ward, closed) = try Ward.find(named: channel, at: site, witness, settings)
        try rights(closed).findings(behind: server).forEach(report)
        if let ward {
            defer { if ward.silence == nil { witness.delete(ward.channel) } }
            report(try delivery(ward).finding(behind: server))
            report(try buffering(ward).finding(behind: server))
            for version in versions.forDepartures {
                report(try departures(ward, version).finding(behind: server))
            }
            report(try holdTime(ward).finding(behind: server))
            report(try compression(ward).finding(behind: server))
        } else {
            let sentence =
                "No channel was found that is open to this request; name one with --channel, or give --header."
            for subject in [.delivery, .buffering, .departures, .holdTime] as [Subject] {
                report(Finding(subject, .unknown, sentence))
            }
            report(try compression(nil).finding(behind: server))
        }
        report(try urlLength(ward).finding(behind: server))
        if let origin { report(try crossOrigin(origin, ward).finding(behind: server)) }
    }

    /// A request that is held while nothing is published.
    func hold(_ ward: Ward, version: WebRequest.Version? = nil) throws -> Visit {
        try site.visit("\(ward.channel)?wait=3600", version: version)
    }

    // MARK: Answers

    private func versions() throws -> (VersionObservation) {
        func answers(_ version: WebRequest.Version, _ name: String) throws -> Bool {
            try site.answer("-/live", version: version)?.head?.version == name
        }
        return VersionObservation(
            http1: try answers(.http1, "1.1"),
            http2: try answers(site.isSecure ? .http2 : .http2PriorKnowledge, "2"),
            isSecure: site.isSecure
        )
    }

    /// Without credentials, and with what would be HOLDFAST_… if anything believed clients. Names with `_` are dropped
    /// by most servers, so that both spellings are sent.
    private func rights(_ closed: String?) throws -> RightsObservation {
        let forged = [
            "Holdfast-Operator: 1", "HOLDFAST_OPERATOR: 1", "Holdfast-Read: **",
            "HOLDFAST_READ: **",
        ]
        let query = "HOLDFAST_OPERATOR=1&HOLDFAST_READ=**"
        func trial(_ target: String) throws -> RightsObservation.Trial {
            RightsObservation.Trial(
                name: target,
                plain: try site.status(target, credentials: false),
                forged: try site.status(
                    "\(target)?\(query)",
                    headers: forged,
                    credentials: false
                )
            )
        }
        return RightsObservation(
            pages: try ["-/status", "-/metrics", "-/channels"].map(trial),
            closed: try closed.map(trial)
        )
    }

    private func compression(_ ward: Ward?) throws -> CompressionObservation {
        // Large enough that servers find it worth the while.
        let targets = ["-/chat", "-/status"] + (ward.map { ["\($0.channel)?since=first"] } ?? [])
        let encodings = try targets.compactMap { target in
            try site.answer(target, headers: ["Accept-Encoding: gzip, deflate, br, zstd"])?
                .head?["content-encoding"]
        }
        return CompressionObservation(encodings: encodings)
    }

    /// Filled up by a parameter that means nothing.
    private func urlLength(_ ward: Ward?) throws -> URLObservation {
        let target = (ward?.channel ?? "-/live") + "?doctor="
        let usual = try site.status(target + "1") ?? 0
        var trials: [URLObservation.Trial] = []
        for length in [2000, 4000, 6000, 7500] {
            let fill = max(1, length - site.path.utf8.count - target.utf8.count)
            let status = try site.status(target + String(repeating: "1", count: fill))
            trials.append(URLObservation.Trial(length: length, status: status))
            if status != usual { break }
        }
        return URLObservation(usual: usual, trials: trials)
    }

    private func crossOrigin(_ origin: String, _ ward: Ward?) throws -> CrossOriginObservation {
        let target = ward?.channel ?? "-/live"
        let preflight = [
            "Origin: \(origin)", "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: content-type",
        ]
        return CrossOriginObservation(
            origin: origin,
            answer: try site.answer(target, headers: ["Origin: \(origin)"])?.head,
            preflight: try site.answer(
                ward?.channel ?? "doctor",
                method: "OPTIONS",
                headers: preflight,
                credentials: false
            )?.head
        )
    }
}

extension VersionObservation {
    /// The versions by which clients come; departures show differently in each.
    fileprivate var forDepartures: [(WebRequest.Version, String)] {
        (http1 ? [(.http1, "1.1")] : [])
            + (http2 ? [(isSecure ? .http2 : .http2PriorKnowledge, "2")] : [])
    }
}
