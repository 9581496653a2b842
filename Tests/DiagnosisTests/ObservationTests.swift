import Diagnosis
import Testing

@Suite struct ObservationTests {
    // MARK: Buffering

    @Test func `the beginning of a stream that comes at once is well`() {
        let seen = BufferingObservation(stream: .body, hold: nil)
        #expect(seen.finding(behind: .nginx).verdict == .ok)
    }

    @Test(arguments: [
        BufferingObservation.Part.headAlone, .nothing(seconds: 3), .beginningAlone(seconds: 3),
    ])
    func `a stream whose beginning does not come is kept back`(part: BufferingObservation.Part) {
        let finding = BufferingObservation(stream: part, hold: .body).finding(behind: .nginx)
        #expect(finding.verdict == .problem)
        #expect(finding.advice.contains { $0.contains("fastcgi_buffering off;") })
    }

    @Test(arguments: [
        (BufferingObservation.Part.body, false, Verdict.ok), (.headAlone, false, .ok),
        (.headAlone, true, .problem),
        (.nothing(seconds: 3), false, .unknown), (.nothing(seconds: 3), true, .problem),
        (.refused(status: 503), true, .unknown),
    ])
    func `without streams a hold decides, if it is known to be probed`(
        part: BufferingObservation.Part,
        probed: Bool,
        verdict: Verdict
    ) {
        let seen = BufferingObservation(
            stream: .refused(status: 406),
            hold: part,
            isProbed: probed
        )
        #expect(seen.finding(behind: .lighttpd).verdict == verdict)
    }

    // MARK: Departures

    private func departures(
        gone: Int = 5,
        after milliseconds: Int,
        _ endings: [String: Int],
        granted: Int? = 25
    ) -> Finding {
        DepartureObservation(
            version: "1.1",
            count: 5,
            patienceSeconds: 30,
            grantedSeconds: granted,
            outcome: .watched(
                DepartureObservation.Watch(gone: gone, milliseconds: milliseconds, endings: endings)
            )
        ).finding(behind: .lighttpd)
    }

    @Test func `those who are let go are well, at once or after a probe`() {
        let atOnce = departures(after: 100, ["closed": 5])
        #expect(atOnce.verdict == .ok)
        #expect(atOnce.sentence.contains("at once"))
        let probed = departures(after: 20_100, ["probe": 5])
        #expect(probed.verdict == .ok)
        #expect(probed.sentence.contains("after a probe"))
    }

    @Test func `those who stay are a problem, with the lines for the server`() {
        let finding = departures(gone: 2, after: 30_000, ["closed": 2])
        #expect(finding.verdict == .problem)
        #expect(finding.sentence.contains("of 5 that left, 3 are still held"))
        #expect(finding.advice.contains { $0.contains("tcp-fin-propagate") })
    }

    @Test func `the end of the time is no departure`() {
        #expect(departures(after: 24_000, ["deadline": 5]).verdict == .problem)
        #expect(departures(after: 24_000, ["deadline": 5], granted: nil).verdict == .problem)
    }

    @Test func `endings of other clients do not count where the time is clear`() {
        #expect(departures(after: 12_000, ["deadline": 900, "closed": 2]).verdict == .ok)
        #expect(departures(after: 14_000, ["closed": 50]).verdict == .ok)
        #expect(departures(after: 24_000, ["closed": 50, "deadline": 5]).verdict == .problem)
    }

    @Test func `probing is advised where there is none`() {
        func advice(probe: Int?) -> [String] {
            DepartureObservation(
                version: "2",
                count: 1,
                patienceSeconds: 30,
                grantedSeconds: 55,
                probeSeconds: probe,
                outcome: .watched(.init(gone: 0, milliseconds: 30_000, endings: [:]))
            ).finding(behind: .unknown).advice
        }
        #expect(advice(probe: nil).contains { $0.contains("probe = always") })
        #expect(!advice(probe: 10).contains { $0.contains("probe = always") })
    }

    @Test func `less patience than probes need tells nothing`() {
        func verdict(patience: Int) -> Verdict {
            DepartureObservation(
                version: "1.1",
                count: 5,
                patienceSeconds: patience,
                grantedSeconds: 25,
                probeSeconds: 10,
                outcome: .watched(.init(gone: 0, milliseconds: patience * 1000, endings: [:]))
            ).finding(behind: .apache).verdict
        }
        #expect(verdict(patience: 19) == .unknown)
        #expect(verdict(patience: 20) == .problem)
    }

    @Test(arguments: [DepartureObservation.Outcome.nobodyAsked, .notShown(0), .notShown(4)])
    func `what nobody has seen can't be told`(outcome: DepartureObservation.Outcome) {
        let seen = DepartureObservation(
            version: "2",
            count: 5,
            patienceSeconds: 30,
            grantedSeconds: nil,
            outcome: outcome
        )
        #expect(seen.finding(behind: .nginx).verdict == .unknown)
    }

    // MARK: Hold time

    @Test(arguments: [
        (HoldObservation.Outcome.whole, 23_000, Verdict.ok), (.whole, 2000, .unknown),
        (.cut("status 504"), 10_000, .problem), (.stillHeld, 10_000, .unknown),
        (.refused(status: 403), 10, .unknown),
    ])
    func `a hold is whole, cut or not known to the end`(
        outcome: HoldObservation.Outcome,
        milliseconds: Int,
        verdict: Verdict
    ) {
        let seen = HoldObservation(
            outcome: outcome,
            milliseconds: milliseconds,
            grantedSeconds: 25
        )
        #expect(seen.finding(behind: .caddy).verdict == verdict)
    }

    // MARK: Answers

    @Test func `HTTP 2 is wanted where browsers would speak it`() {
        func verdict(_ http1: Bool, _ http2: Bool, _ secure: Bool) -> Verdict {
            VersionObservation(http1: http1, http2: http2, isSecure: secure)
                .finding(behind: .nginx).verdict
        }
        #expect(verdict(true, true, true) == .ok)
        #expect(verdict(true, false, false) == .ok)
        #expect(verdict(true, false, true) == .problem)
        #expect(verdict(false, false, true) == .unknown)
    }

    @Test func `a URL that is too long for the server is not one whose answer is too long`() {
        func finding(_ status: Int?) -> Finding {
            URLObservation(
                usual: 200,
                trials: [.init(length: 2000, status: 200), .init(length: 4000, status: status)]
            ).finding(behind: .nginx)
        }
        #expect(finding(200).verdict == .ok)
        #expect(finding(414).advice == ["nginx: large_client_header_buffers 4 8k;"])
        #expect(finding(nil).advice == ["nginx: large_client_header_buffers 4 8k;"])
        #expect(finding(502).advice.first == "nginx: fastcgi_buffer_size 16k;")
        #expect(finding(414).sentence.contains("2000 bytes pass"))
    }

    @Test func `what a client opens by pretending is a problem, what was open is one of its own`() {
        func verdicts(_ plain: Int?, _ forged: Int?) -> [Verdict] {
            RightsObservation(
                pages: [.init(name: "-/status", plain: plain, forged: forged)],
                closed: nil
            ).findings(behind: .nginx).map(\.verdict)
        }
        #expect(verdicts(403, 403) == [.ok, .ok])
        #expect(verdicts(401, 200) == [.ok, .problem])
        #expect(verdicts(200, 200) == [.problem, .unknown])
        #expect(verdicts(nil, nil) == [.unknown, .unknown])
    }

    // MARK: Other origins

    private func crossOrigin(_ answer: [String], _ preflight: [String]) -> Finding {
        CrossOriginObservation(
            origin: "https://a.example",
            answer: AnswerHead((["HTTP/1.1 200"] + answer).joined(separator: "\r\n")),
            preflight: AnswerHead(preflight.joined(separator: "\r\n"))
        ).finding(behind: .nginx)
    }

    private static let allowed = "Access-Control-Allow-Origin: https://a.example"
    private static let granted = [
        "HTTP/1.1 204", allowed, "Access-Control-Allow-Methods: GET, POST",
        "Access-Control-Allow-Headers: Content-Type",
    ]

    @Test func `an origin that is let in on both questions is well`() {
        #expect(crossOrigin([Self.allowed], Self.granted).verdict == .ok)
    }

    @Test func `each way of refusing an origin has its own line to change`() {
        #expect(
            crossOrigin([], Self.granted).advice.first?.hasPrefix("origins = https://a.example")
                == true
        )
        let twice = crossOrigin([Self.allowed, Self.allowed], Self.granted)
        #expect(twice.advice.first?.contains("add_header") == true)
        let asked = crossOrigin([Self.allowed], ["HTTP/1.1 401"])
        #expect(asked.advice.first?.contains("limit_except OPTIONS") == true)
    }

    // MARK: The whole

    @Test func `only problems make the exit code one`() {
        let well = [Finding(.service, .ok, "a."), Finding(.delivery, .unknown, "b.")]
        #expect(well.exitCode == 0)
        #expect((well + [Finding(.buffering, .problem, "c.")]).exitCode == 1)
    }

    @Test func `a finding is a line, and a line below it for each thing to change`() {
        #expect(
            Finding(.crossOrigin, .problem, "No.", ["x = y"]).lines == [
                "problem      CORS            No.", "                             x = y",
            ]
        )
    }

    @Test(arguments: [
        (200, true, Verdict.ok), (503, true, .problem), (502, false, .problem),
        (404, false, .problem), (301, false, .problem), (401, false, .problem),
    ])
    func `a site without a ready Holdfast is a problem`(
        status: Int,
        isHoldfast: Bool,
        verdict: Verdict
    ) {
        let seen = ServiceObservation(
            status: status,
            location: "https://b.example/",
            isHoldfast: isHoldfast
        )
        #expect(seen.finding(behind: .unknown).verdict == verdict)
    }
}
