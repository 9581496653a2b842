internal import Configuration
internal import Diagnosis
internal import FoundationEssentials
internal import Reactor

/// What is looked at, in this order; each subject has a file of its own or a function below.
struct Examination {
    let site: Site
    let witness: Witness
    let settings: Settings?
    /// The channel that was named.
    let channel: String?
    let origin: String?
    /// The servers on the way, as far as they are known by now.
    private(set) var way: Way

    /// How many leave at once.
    static let departing = 5

    /// - Parameter ready: the head of the site's answer to `-/ready`.
    init(
        site: Site,
        witness: Witness,
        settings: Settings?,
        channel: String?,
        origin: String?,
        ready: AnswerHead
    ) throws {
        self.site = site
        self.witness = witness
        self.settings = settings
        self.channel = channel
        self.origin = origin
        way = Way(ready, Way.passed([], try witness.figures()?.frontEnds ?? [], ready))
    }

    /// - Parameters:
    ///   - service: told when it is known by which server it was reached: some answer without a name, and only the
    ///     responder then knows one, by a request that was held.
    ///   - report: given each finding as soon as it is known.
    mutating func run(_ service: ServiceObservation, _ report: (Finding) -> Void) throws {
        let (ward, closed) = try Ward.find(named: channel, at: site, witness, settings)
        var looks: [CompressionObservation.Look] = []
        if let ward { looks = try lookAround(ward) }
        report(service.finding(behind: way))
        let versions = try versions()
        report(versions.finding(behind: way))
        if way.proxy != nil {
            report(Finding(.way, .ok, "Requests come by \(way.name)."))
        }
        try rights(closed).findings(behind: way).forEach(report)
        if let ward {
            defer { if ward.silence == nil { witness.delete(ward.channel) } }
            report(try delivery(ward).finding(behind: way))
            try buffering(ward).forEach(report)
            for (index, version) in versions.forDepartures.enumerated() {
                let (pace, departures) = try departures(ward, version)
                if index == 0, let finding = pace.finding(behind: way) { report(finding) }
                report(departures.finding(behind: way))
            }
            report(try holdTime(ward).finding(behind: way))
        } else {
            let sentence =
                "No channel was found that is open to this request; name one with --channel, or give --header."
            for subject in [.delivery, .buffering, .departures, .holdTime] as [Subject] {
                report(Finding(subject, .unknown, sentence))
            }
        }
        report(CompressionObservation(looks: looks).finding(behind: way))
        report(try urlLength(ward).finding(behind: way))
        if let origin { report(try crossOrigin(origin, ward).finding(behind: way)) }
        if let room = try room()?.finding(behind: way) { report(room) }
    }

    /// Has a request held, and a stream, as browsers ask for them: how are they encoded, and by which servers do they come?
    private mutating func lookAround(_ ward: Ward) throws -> [CompressionObservation.Look] {
        let accepts = "Accept-Encoding: gzip, deflate, br, zstd"
        let before = try witness.figures()?.frontEnds ?? []
        let held = try site.answer("\(ward.channel)?wait=1", headers: [accepts])
        let after = try witness.figures()?.frontEnds ?? []
        guard let head = held?.head, head.status == 200 else { return [] }
        way = Way(head, Way.passed(before, after, head))
        var looks = [
            CompressionObservation.Look(
                what: "A held answer is",
                encoding: head["content-encoding"]
            )
        ]
        let stream = try Ghost(site, ward, "Accept: text/event-stream", accepts)
        defer { stream.leave() }
        // Its head alone may be kept back; then that is found below.
        Visit.follow([stream.visit], until: MonotonicClock.milliseconds() + 2000) {
            stream.visit.answer.head != nil
        }
        if let head = stream.visit.answer.head, StreamTypeObservation(head).isStream {
            looks.append(.init(what: "A stream is", encoding: head["content-encoding"]))
        }
        return looks
    }

    /// What the responder says by now of the front end that requests come by.
    func seen() throws -> Way.Seen? {
        let all = try witness.figures()?.frontEnds ?? []
        return all.first {
            FrontEnd(software: $0.software) == way.server
                && $0.isForwarded == (way.isForwarded ?? $0.isForwarded)
        }
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
        let http1 = try ["1.1", "1.0"].first { try answers(.http1, $0) }
        return VersionObservation(
            http1: http1,
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
        func answer(
            _ target: String,
            _ sign: String,
            _ headers: [String] = []
        ) throws -> RightsObservation.Trial.Answer? {
            guard let answer = try site.answer(target, headers: headers, credentials: false),
                let head = answer.head
            else { return nil }
            let isOurs = answer.body.contains(Array(sign.utf8))
            return head.status == 200 && isOurs ? .open : .status(head.status)
        }
        /// - Parameter sign: what is in the answer where Holdfast gives it.
        func trial(_ target: String, _ sign: String) throws -> RightsObservation.Trial {
            RightsObservation.Trial(
                name: target,
                plain: try answer(target, sign),
                forged: try answer("\(target)?\(query)", sign, forged)
            )
        }
        return RightsObservation(
            pages: [
                try trial("-/status", "\"held\":"), try trial("-/metrics", "holdfast_"),
                try trial("-/channels", "\"channels\":"),
            ],
            closed: try closed.map { try trial($0, "\"cursor\":") }
        )
    }

    /// By the configuration of an nginx on this machine.
    private func room() throws -> RoomObservation? {
        let places = [way.server, way.proxy].compactMap(\.self)
        guard places.contains(.nginx), witness.isLocal,
            let wanted = try witness.figures()?.heldLimit,
            let configuration = try? String(contentsOfFile: Self.nginxFile, encoding: .utf8)
        else { return nil }
        return RoomObservation(
            configuration: configuration,
            processors: ProcessInfo.processInfo.activeProcessorCount,
            wanted: wanted
        )
    }

    private static let nginxFile = "/etc/nginx/nginx.conf"

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
    fileprivate var forDepartures: [(WebRequest.Version, String)] {
        answered.map { name in
            guard name == "2" else { return (.http1, name) }
            return (isSecure ? .http2 : .http2PriorKnowledge, name)
        }
    }
}
