internal import Bus
internal import Configuration
internal import Diagnosis
internal import Glibc
internal import System
internal import Text

/// The examination of a site, in this order; each subject has its own file or a function below.
struct Examination {
    let site: Site
    let responder: ResponderClient
    let settings: Settings?
    /// The channel that the command line names.
    let channelName: String?
    let origin: String?
    /// The servers on the way, as far as they are known so far.
    private(set) var servers: ServerChain

    /// How many clients leave at once.
    static let departing = 5

    /// - Parameter ready: the head of the site's answer to `-/ready`.
    init(
        site: Site,
        responder: ResponderClient,
        settings: Settings?,
        channelName: String?,
        origin: String?,
        ready: AnswerHead
    ) throws(DoctorError) {
        self.site = site
        self.responder = responder
        self.settings = settings
        self.channelName = channelName
        self.origin = origin
        servers = ServerChain(
            ready,
            ServerChain.reportOfRequest([], try responder.figures()?.frontEnds ?? [], ready)
        )
    }

    /// - Parameters:
    ///   - service: reported once the server is known: some servers answer without a name, and then only the responder
    ///     knows it, from a held request.
    ///   - report: called with each finding as soon as it is known.
    mutating func run(_ service: ServiceObservation, _ report: (Finding) -> Void)
        throws(DoctorError)
    {
        let (channel, closed, refusal) = try TestChannel.find(
            named: channelName,
            at: site,
            responder,
            settings
        )
        var samples: [CompressionObservation.Sample] = []
        if let channel { samples = try sampleEncodings(channel) }
        report(service.finding(behind: servers))
        if let machines = try responder.figures()?.machines { report(machines.finding) }
        let versions = try versions()
        report(versions.finding(behind: servers))
        if servers.proxy != nil {
            report(Finding(.servers, .ok, "Requests come through \(servers.name)."))
        }
        try rights(closed).findings(behind: servers).forEach(report)
        if let channel {
            defer { if channel.obstacle == nil { responder.delete(channel.name) } }
            report(try delivery(channel).finding(behind: servers))
            try buffering(channel).forEach(report)
            for (index, version) in versions.forDepartures.enumerated() {
                let (pace, departures) = try departures(channel, version)
                if index == 0, let finding = pace.finding(behind: servers) { report(finding) }
                report(departures.finding(behind: servers))
            }
            report(try holdTime(channel).finding(behind: servers))
        } else {
            let remedy =
                channelName != nil && !site.headers.isEmpty
                ? "what --header shows does not open it"
                : "name one with --channel, or give --header"
            let sentence =
                "No open channel was found\(refusal.map { ": \($0)" } ?? ""); \(remedy)."
            for subject in [.delivery, .buffering, .departures, .holdTime] as [Subject] {
                report(Finding(subject, .unknown, sentence))
            }
        }
        report(CompressionObservation(samples: samples).finding(behind: servers))
        report(try urlLength(channel).finding(behind: servers))
        if let origin { report(try crossOrigin(origin, channel).finding(behind: servers)) }
        if let room = try room()?.finding(behind: servers) { report(room) }
    }

    /// Holds a request and a stream, as browsers ask for them, to learn how they are encoded and which servers they
    /// pass.
    private mutating func sampleEncodings(_ channel: TestChannel) throws(DoctorError)
        -> [CompressionObservation
        .Sample]
    {
        let accepts = "Accept-Encoding: gzip, deflate, br, zstd"
        let before = try responder.figures()?.frontEnds ?? []
        let held = try site.answer("\(channel.name)?wait=1", headers: [accepts])
        let after = try responder.figures()?.frontEnds ?? []
        guard let head = held?.head, head.status == 200 else { return [] }
        servers = ServerChain(head, ServerChain.reportOfRequest(before, after, head))
        var samples = [
            CompressionObservation.Sample(
                what: "A held answer is",
                encoding: head["content-encoding"]
            )
        ]
        let stream = try TestStream(site, channel, "Accept: text/event-stream", accepts)
        defer { stream.leave() }
        // Its head alone may be buffered; that is found below.
        CurlTransfer.follow([stream.transfer], until: MonotonicClock.milliseconds() + 2000) {
            stream.transfer.answer.head != nil
        }
        if let head = stream.transfer.answer.head, StreamTypeObservation(head).isStream {
            samples.append(.init(what: "A stream is", encoding: head["content-encoding"]))
        }
        return samples
    }

    /// The responder's current report on the front end that requests come through.
    func frontEndReport() throws(DoctorError) -> ServerChain.FrontEndReport? {
        let all = try responder.figures()?.frontEnds ?? []
        return all.first {
            ServerKind(software: $0.software) == servers.server
                && $0.isForwarded == (servers.isForwarded ?? $0.isForwarded)
        }
    }

    /// A request that is held while nothing is published.
    func hold(_ channel: TestChannel, version: WebRequest.Version? = nil) throws(DoctorError)
        -> CurlTransfer
    {
        try site.transfer("\(channel.name)?wait=3600", version: version)
    }

    // MARK: Answers

    private func versions() throws(DoctorError) -> VersionObservation {
        func answers(_ version: WebRequest.Version, _ name: String) throws(DoctorError) -> Bool {
            try site.answer("-/live", version: version)?.head?.version == name
        }
        var http1: String?
        for name in ["1.1", "1.0"] where http1 == nil {
            if try answers(.http1, name) { http1 = name }
        }
        return VersionObservation(
            http1: http1,
            http2: try answers(site.isSecure ? .http2 : .http2PriorKnowledge, "2"),
            isSecure: site.isSecure
        )
    }

    /// Tries each target without credentials, plain and with what would become HOLDFAST_… if a server trusted clients.
    /// Most servers drop names with `_`, so both spellings are sent.
    private func rights(_ closed: String?) throws(DoctorError) -> RightsObservation {
        let forged = [
            "Holdfast-Operator: 1", "HOLDFAST_OPERATOR: 1", "Holdfast-Read: **",
            "HOLDFAST_READ: **",
        ]
        let query = "HOLDFAST_OPERATOR=1&HOLDFAST_READ=**"
        func answer(
            _ target: String,
            _ sign: String,
            _ headers: [String] = []
        ) throws(DoctorError) -> RightsObservation.Trial.Answer? {
            guard let answer = try site.answer(target, headers: headers, credentials: false),
                let head = answer.head
            else { return nil }
            let isOurs = answer.body.includes(Array(sign.utf8))
            return head.status == 200 && isOurs ? .open : .status(head.status)
        }
        /// - Parameter sign: a text that the answer contains if Holdfast gives it.
        func trial(_ target: String, _ sign: String) throws(DoctorError) -> RightsObservation.Trial
        {
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
            closed: try closed.map { name throws(DoctorError) in try trial(name, "\"cursor\":") }
        )
    }

    /// From the configuration of an nginx on this machine.
    private func room() throws(DoctorError) -> RoomObservation? {
        let places = [servers.server, servers.proxy].compactMap(\.self)
        guard places.contains(.nginx), responder.isLocal,
            let wanted = try responder.figures()?.heldLimit
        else { return nil }
        let configuration = SmallFile.text(of: Self.nginxFile)
        guard !configuration.isEmpty else { return nil }
        return RoomObservation(
            configuration: configuration,
            processors: sysconf(Int32(_SC_NPROCESSORS_ONLN)),
            wanted: wanted,
            file: Self.nginxFile
        )
    }

    private static let nginxFile = "/etc/nginx/nginx.conf"

    /// Tries URLs filled up with a meaningless parameter.
    private func urlLength(_ channel: TestChannel?) throws(DoctorError) -> URLObservation {
        let target = (channel?.name ?? "-/live") + "?doctor="
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

    private func crossOrigin(_ origin: String, _ channel: TestChannel?) throws(DoctorError)
        -> CrossOriginObservation
    {
        let target = channel?.name ?? "-/live"
        let preflight = [
            "Origin: \(origin)", "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: content-type",
        ]
        return CrossOriginObservation(
            origin: origin,
            answer: try site.answer(target, headers: ["Origin: \(origin)"])?.head,
            preflight: try site.answer(
                channel?.name ?? "doctor",
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
