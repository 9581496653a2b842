internal import BusClient
internal import Configuration
internal import Diagnosis
internal import Glibc
internal import Liveness
internal import System
internal import Text

/// The examinations that hold requests.
extension Examination {
    // MARK: Delivery

    func delivery(_ channel: TestChannel) throws(DoctorError) -> DeliveryObservation {
        if let obstacle = channel.obstacle { return .notPublished(obstacle) }
        let before = try held(channel) ?? 0
        let transfer = try hold(channel)
        defer { transfer.leave() }
        if let refusal = try awaitHeld(transfer, channel, before) {
            return .notHeld(status: refusal)
        }
        do {
            try responder.publish("holdfast doctor", to: channel.name)
        } catch {
            return .notPublished("\(error)")
        }
        let mark = Array("\"holdfast doctor\"".utf8)
        let arrived = CurlTransfer.follow([transfer], until: site.deadline) {
            transfer.hasEnded && transfer.answer.body.includes(mark)
        }
        if arrived { return .arrived }
        // It may have been compressed against the request, or be another answer.
        return .missing(seconds: site.patienceSeconds)
    }

    // MARK: Buffering

    func buffering(_ channel: TestChannel) throws(DoctorError) -> [Finding] {
        let patience = min(site.patienceSeconds * 1000, 5000)
        // Holds end at most half of their time early (`jitter`); the end of one must not be taken for its beginning.
        let holdPatience = min(patience, channel.grantedSeconds.map { $0 * 500 } ?? .max)
        var findings: [Finding] = []
        var stream = try TestStream(site, channel, "Accept: text/event-stream")
        defer { stream.leave() }
        var part = Self.earlyPart(of: stream.transfer, within: patience) { !$0.isEmpty }
        if let head = stream.transfer.answer.head, head.status == 200,
            let finding = StreamTypeObservation(head).finding(behind: servers)
        {
            findings.append(finding)
            stream.leave()
            stream = try TestStream(site, channel, query: "stream=sse")
            part = Self.earlyPart(of: stream.transfer, within: patience) { !$0.isEmpty }
        }
        var delays: [Int] = []
        if part == .body, channel.obstacle == nil {
            delays = try self.delays(stream.transfer, channel.name)
            if delays.count < Self.events {
                part = .beginningAlone(seconds: site.patienceSeconds)
            }
        }
        guard case .refused = part else {
            let seen = BufferingObservation(
                stream: part,
                hold: nil,
                delays: delays,
                isIncremental: stream.transfer.answer.head.map { $0["incremental"] == "?1" }
            )
            return findings + [seen.finding(behind: servers)]
        }
        let transfer = try hold(channel)
        defer { transfer.leave() }
        let seen = BufferingObservation(
            stream: part,
            hold: Self.earlyPart(of: transfer, within: holdPatience) { body in
                // White space, which may precede JSON.
                !body.isEmpty && body.allSatisfy { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D }
            },
            isProbed: try isProbed()
        )
        return findings + [seen.finding(behind: servers)]
    }

    /// Enough events that at least one of them meets no other delay.
    private static let events = 4

    /// The delays of messages to a stream, in milliseconds; fewer than were published if one does not arrive.
    private func delays(_ stream: CurlTransfer, _ channel: String) throws(DoctorError) -> [Int] {
        var delays: [Int] = []
        for number in 1...Self.events {
            let mark = "holdfast doctor streams \(number)"
            try responder.publish(mark, to: channel)
            let committed = MonotonicClock.milliseconds()
            let hasCome = CurlTransfer.follow([stream], until: site.deadline) {
                stream.answer.body.includes(Array(mark.utf8))
            }
            guard hasCome else { break }
            delays.append(Int(MonotonicClock.milliseconds() - committed))
        }
        return delays
    }

    /// Whether holds begin with a blank here; some servers delay headers alone.
    private func isProbed() throws(DoctorError) -> Bool {
        if settings?.hold.probe == .always { return true }
        return try frontEndReport()?.isProbed ?? false
    }

    /// The part of an answer that arrives well before its end.
    private static func earlyPart(
        of transfer: CurlTransfer,
        within milliseconds: Int,
        _ isBeginning: ([UInt8]) -> Bool
    ) -> BufferingObservation.Part {
        let nothing = BufferingObservation.Part.nothing(seconds: max(1, milliseconds / 1000))
        let hasBegun = CurlTransfer.follow(
            [transfer],
            until: MonotonicClock.milliseconds() + Int64(milliseconds)
        ) { transfer.answer.head != nil && isBeginning(transfer.answer.body) }
        guard let head = transfer.answer.head else { return nothing }
        if head.status != 200 { return .refused(status: head.status) }
        if hasBegun { return .body }
        return transfer.hasEnded || !transfer.answer.body.isEmpty ? nothing : .headAlone
    }

    // MARK: Departures

    func departures(
        _ channel: TestChannel,
        _ version: (curl: WebRequest.Version, name: String)
    ) throws(DoctorError) -> (PaceObservation, DepartureObservation) {
        let within = try isProbed() ? frontEndReport()?.foundWithinMilliseconds : nil
        let (times, outcome) = try departureOutcome(channel, version.curl)
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
                grantedSeconds: channel.grantedSeconds,
                foundWithinMilliseconds: within,
                outcome: outcome
            )
        )
    }

    /// - Returns: when each request was held, in milliseconds, and the outcome; no times if other clients are counted
    ///   with them.
    private func departureOutcome(
        _ channel: TestChannel,
        _ version: WebRequest.Version
    ) throws(DoctorError) -> ([Int], DepartureObservation.Outcome) {
        guard responder.isThere, let idle = try settled(channel) else { return ([], .noResponder) }
        // For a channel that is not remembered, the held requests of all channels are counted.
        let isAlone = channel.isOwn ? try responder.held(on: channel.name) != nil : false
        let begun = MonotonicClock.milliseconds()
        let transfers = try (0..<Self.departing).map { _ throws(DoctorError) in
            try hold(channel, version: version)
        }
        defer { transfers.forEach { $0.leave() } }
        var times: [Int] = []
        let allShow = try CurlTransfer.follow(transfers, until: site.deadline) {
            () throws(DoctorError) in
            let shown = (try held(channel) ?? 0) - idle
            let milliseconds = Int(MonotonicClock.milliseconds() - begun)
            while times.count < min(shown, transfers.count) { times.append(milliseconds) }
            return shown >= transfers.count
        }
        guard allShow, let before = try responder.figures() else {
            return (isAlone ? times : [], .notShown(times.count))
        }
        // Some servers watch a client from the first byte they have sent it on, which arrives shortly or not at all.
        CurlTransfer.follow(transfers, until: MonotonicClock.milliseconds() + 300) {
            transfers.allSatisfy { $0.answer.head != nil }
        }
        let leaving = MonotonicClock.milliseconds()
        transfers.forEach { $0.leave() }
        let deadline = site.deadline
        var left = transfers.count
        while true {
            left = max(0, (try held(channel) ?? 0) - idle)
            if left == 0 || MonotonicClock.milliseconds() >= deadline { break }
            Pause.briefly()
        }
        let watch = DepartureObservation.Watch(
            gone: transfers.count - left,
            milliseconds: Int(MonotonicClock.milliseconds() - leaving),
            endings: try responder.figures()?.endings(since: before) ?? [:],
            isAlone: isAlone
        )
        return (isAlone ? times : [], .watched(watch))
    }

    /// How many requests wait here besides ours. A message releases those of earlier examinations, whose departures may
    /// not have shown.
    private func settled(_ channel: TestChannel) throws(DoctorError) -> Int? {
        guard var last = try held(channel) else { return nil }
        guard channel.obstacle == nil else { return last }
        if last > 0 { try responder.publish("holdfast doctor goes on", to: channel.name) }
        let deadline = site.deadline
        while last > 0, MonotonicClock.milliseconds() < deadline {
            Pause.briefly()
            last = try held(channel) ?? 0
        }
        return last
    }

    /// The held requests on the channel, or on all channels if it is not remembered.
    private func held(_ channel: TestChannel) throws(DoctorError) -> Int? {
        if let held = try responder.held(on: channel.name) { return held }
        return try responder.figures()?.held
    }

    /// Waits until the responder reports the request as held, or for a second if there is no responder to ask.
    ///
    /// - Parameter before: how many were held before it was sent.
    /// - Returns: the status, if it was answered instead.
    private func awaitHeld(_ transfer: CurlTransfer, _ channel: TestChannel, _ before: Int)
        throws(DoctorError)
        -> Int?
    {
        let deadline = responder.isThere ? site.deadline : MonotonicClock.milliseconds() + 1000
        try CurlTransfer.follow([transfer], until: deadline) { () throws(DoctorError) in
            try held(channel) ?? 0 > before
        }
        return transfer.hasEnded ? transfer.answer.head?.status ?? 0 : nil
    }

    // MARK: Hold time

    func holdTime(_ channel: TestChannel) throws(DoctorError) -> HoldObservation {
        let transfer = try hold(channel)
        defer { transfer.leave() }
        CurlTransfer.follow([transfer], until: site.deadline) { transfer.hasEnded }
        let end = transfer.endedAt ?? MonotonicClock.milliseconds()
        return HoldObservation(
            outcome: Self.outcome(of: transfer),
            milliseconds: Int(end - transfer.startedAt),
            grantedSeconds: channel.grantedSeconds
        )
    }

    private static func outcome(of transfer: CurlTransfer) -> HoldObservation.Outcome {
        guard let code = transfer.exitCode else { return .stillHeld }
        guard let head = transfer.answer.head, code == 0 else { return .cut(transfer.complaint) }
        switch head.status {
        case 200:
            guard let answer = JSONValue(transfer.answer.body), answer["cursor"]?.string != nil
            else {
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
