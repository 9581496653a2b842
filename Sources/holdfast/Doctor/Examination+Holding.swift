internal import BusClient
internal import Configuration
internal import Diagnosis
internal import Glibc
internal import Liveness
internal import Reactor
internal import Text

/// What is seen with requests that are held.
extension Examination {
    // MARK: Delivery

    func delivery(_ ward: Ward) throws -> DeliveryObservation {
        if let silence = ward.silence { return .notPublished(silence) }
        let before = try held(ward) ?? 0
        let visit = try hold(ward)
        defer { visit.leave() }
        if let refusal = try awaitHeld(visit, ward, before) { return .notHeld(status: refusal) }
        do {
            try witness.publish("holdfast doctor", to: ward.channel)
        } catch let error as BusClientError {
            return .notPublished("\(error)")
        }
        let mark = Array("\"holdfast doctor\"".utf8)
        let arrived = Visit.follow([visit], until: site.deadline) {
            visit.hasEnded && visit.answer.body.contains(mark)
        }
        if arrived { return .arrived }
        // Compressed in spite of what it asked for, or another answer.
        return .missing(seconds: site.patienceSeconds)
    }

    // MARK: Buffering

    func buffering(_ ward: Ward) throws -> [Finding] {
        // Holds end at most half of their time early (`jitter`), so that one's end is not taken for its beginning.
        let half = ward.grantedSeconds.map { $0 * 500 } ?? .max
        let milliseconds = min(site.patienceSeconds * 1000, 5000, half)
        var findings: [Finding] = []
        var stream = try Ghost(site, ward, "Accept: text/event-stream")
        defer { stream.leave() }
        var part = Self.earlyPart(of: stream.visit, within: milliseconds) { !$0.isEmpty }
        if let head = stream.visit.answer.head, head.status == 200,
            let finding = StreamTypeObservation(head).finding(behind: way)
        {
            findings.append(finding)
            stream.leave()
            stream = try Ghost(site, ward, query: "stream=sse")
            part = Self.earlyPart(of: stream.visit, within: milliseconds) { !$0.isEmpty }
        }
        var delays: [Int] = []
        if part == .body, ward.silence == nil {
            delays = try self.delays(stream.visit, ward.channel)
            if delays.count < Self.events {
                part = .beginningAlone(seconds: site.patienceSeconds)
            }
        }
        guard case .refused = part else {
            let seen = BufferingObservation(stream: part, hold: nil, delays: delays)
            return findings + [seen.finding(behind: way)]
        }
        let visit = try hold(ward)
        defer { visit.leave() }
        let seen = BufferingObservation(
            stream: part,
            hold: Self.earlyPart(of: visit, within: milliseconds) { body in
                // White space, which may stand before JSON.
                !body.isEmpty && body.allSatisfy { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D }
            },
            isProbed: try isProbed()
        )
        return findings + [seen.finding(behind: way)]
    }

    /// Enough that one of them meets no other trouble.
    private static let events = 4

    /// How long messages take by a stream while that goes on; fewer where one does not come.
    private func delays(_ stream: Visit, _ channel: String) throws -> [Int] {
        var delays: [Int] = []
        for number in 1...Self.events {
            let mark = "holdfast doctor streams \(number)"
            try witness.publish(mark, to: channel)
            let committed = MonotonicClock.milliseconds()
            let hasCome = Visit.follow([stream], until: site.deadline) {
                stream.answer.body.contains(Array(mark.utf8))
            }
            guard hasCome else { break }
            delays.append(Int(MonotonicClock.milliseconds() - committed))
        }
        return delays
    }

    /// Whether holds begin with a blank here: headers alone are kept back by some servers.
    private func isProbed() throws -> Bool {
        if settings?.hold.probe == .always { return true }
        return try seen()?.isProbed ?? false
    }

    /// What of an answer comes well before its end.
    private static func earlyPart(
        of visit: Visit,
        within milliseconds: Int,
        _ isBeginning: ([UInt8]) -> Bool
    ) -> BufferingObservation.Part {
        let nothing = BufferingObservation.Part.nothing(seconds: max(1, milliseconds / 1000))
        let hasBegun = Visit.follow(
            [visit],
            until: MonotonicClock.milliseconds() + Int64(milliseconds)
        ) { visit.answer.head != nil && isBeginning(visit.answer.body) }
        guard let head = visit.answer.head else { return nothing }
        if head.status != 200 { return .refused(status: head.status) }
        if hasBegun { return .body }
        return visit.hasEnded || !visit.answer.body.isEmpty ? nothing : .headAlone
    }

    // MARK: Departures

    func departures(
        _ ward: Ward,
        _ version: (curl: WebRequest.Version, name: String)
    ) throws -> (PaceObservation, DepartureObservation) {
        let within = try isProbed() ? seen()?.foundWithinMilliseconds : nil
        let (times, outcome) = try departureOutcome(ward, version.curl)
        return (
            PaceObservation(
                milliseconds: times,
                count: Self.departing,
                patienceSeconds: site.patienceSeconds
            ),
            DepartureObservation(
                version: version.name,
                count: Self.departing,
                patienceSeconds: site.patienceSeconds,
                grantedSeconds: ward.grantedSeconds,
                foundWithinMilliseconds: within,
                outcome: outcome
            )
        )
    }

    /// - Returns: also when the requests were held, one after the other; nothing where others are counted with them.
    private func departureOutcome(
        _ ward: Ward,
        _ version: WebRequest.Version
    ) throws -> ([Int], DepartureObservation.Outcome) {
        guard witness.isThere, let idle = try settled(ward) else { return ([], .nobodyAsked) }
        // Where the channel is not remembered all are counted who are held anywhere.
        let isAlone = try ward.isOwn && witness.held(on: ward.channel) != nil
        let begun = MonotonicClock.milliseconds()
        let visits = try (0..<Self.departing).map { _ in try hold(ward, version: version) }
        defer { visits.forEach { $0.leave() } }
        var times: [Int] = []
        let allShow = try Visit.follow(visits, until: site.deadline) {
            let shown = (try held(ward) ?? 0) - idle
            let milliseconds = Int(MonotonicClock.milliseconds() - begun)
            while times.count < min(shown, visits.count) { times.append(milliseconds) }
            return shown >= visits.count
        }
        guard allShow, let before = try witness.figures() else {
            return (isAlone ? times : [], .notShown(times.count))
        }
        // Some servers watch a client from the first byte they have sent it on, which comes in a moment or not at all.
        Visit.follow(visits, until: MonotonicClock.milliseconds() + 300) {
            visits.allSatisfy { $0.answer.head != nil }
        }
        let leaving = MonotonicClock.milliseconds()
        visits.forEach { $0.leave() }
        let deadline = site.deadline
        var left = visits.count
        while true {
            left = max(0, (try held(ward) ?? 0) - idle)
            if left == 0 || MonotonicClock.milliseconds() >= deadline { break }
            Pause.briefly()
        }
        let watch = DepartureObservation.Watch(
            gone: visits.count - left,
            milliseconds: Int(MonotonicClock.milliseconds() - leaving),
            endings: try witness.figures()?.endings(since: before) ?? [:],
            isAlone: isAlone
        )
        return (isAlone ? times : [], .watched(watch))
    }

    /// How many wait here without us. A message lets go of those of earlier checks, whose departures may not have shown.
    private func settled(_ ward: Ward) throws -> Int? {
        guard var last = try held(ward) else { return nil }
        guard ward.silence == nil else { return last }
        if last > 0 { try witness.publish("holdfast doctor goes on", to: ward.channel) }
        let deadline = site.deadline
        while last > 0, MonotonicClock.milliseconds() < deadline {
            Pause.briefly()
            last = try held(ward) ?? 0
        }
        return last
    }

    /// On the channel; in all where it is not remembered.
    private func held(_ ward: Ward) throws -> Int? {
        try witness.held(on: ward.channel) ?? witness.figures()?.held
    }

    /// Until the responder says that it is held, or as long as such a thing takes where nobody says it.
    ///
    /// - Parameter before: how many were, before it was sent.
    /// - Returns: the status where it was answered instead.
    private func awaitHeld(_ visit: Visit, _ ward: Ward, _ before: Int) throws -> Int? {
        let deadline = witness.isThere ? site.deadline : MonotonicClock.milliseconds() + 1000
        try Visit.follow([visit], until: deadline) { try held(ward) ?? 0 > before }
        return visit.hasEnded ? visit.answer.head?.status ?? 0 : nil
    }

    // MARK: Hold time

    func holdTime(_ ward: Ward) throws -> HoldObservation {
        let visit = try hold(ward)
        defer { visit.leave() }
        Visit.follow([visit], until: site.deadline) { visit.hasEnded }
        let end = visit.endedAt ?? MonotonicClock.milliseconds()
        return HoldObservation(
            outcome: Self.outcome(of: visit),
            milliseconds: Int(end - visit.startedAt),
            grantedSeconds: ward.grantedSeconds
        )
    }

    private static func outcome(of visit: Visit) -> HoldObservation.Outcome {
        guard let code = visit.exitCode else { return .stillHeld }
        guard let head = visit.answer.head, code == 0 else { return .cut(visit.complaint) }
        switch head.status {
        case 200:
            guard let answer = JSONValue(visit.answer.body), answer["cursor"]?.string != nil else {
                return .cut("the answer is not Holdfast's")
            }
            return answer["messages"]?.elements?.isEmpty == false ? .messages : .whole
        case 408, 500...599: return .cut("status \(head.status)")
        default: return .refused(status: head.status)
        }
    }
}

enum Pause {
    static func briefly() { _ = poll(nil, 0, 50) }
}
