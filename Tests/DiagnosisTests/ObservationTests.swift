import Diagnosis
import Testing

@Suite struct ObservationTests {
    // MARK: Buffering

    @Test func `a stream that begins at once is ok`() {
        let seen = BufferingObservation(stream: .body, hold: nil)
        #expect(seen.finding(behind: ServerChain(.nginx)).verdict == .ok)
    }

    @Test func `a server that removes the field Incremental is told of, and is no fault by itself`()
    {
        for (isIncremental, isTold) in [(true, false), (nil, false), (false, true)] {
            let seen = BufferingObservation(stream: .body, hold: nil, isIncremental: isIncremental)
            let finding = seen.finding(behind: ServerChain(.nginx))
            #expect(finding.verdict == .ok)
            #expect(finding.sentence.contains("Incremental") == isTold)
        }
    }

    @Test(arguments: [
        BufferingObservation.Part.headAlone, .nothing(seconds: 3), .beginningAlone(seconds: 3),
    ])
    func `a stream whose beginning does not come is kept back`(part: BufferingObservation.Part) {
        let finding = BufferingObservation(stream: part, hold: .body).finding(
            behind: ServerChain(.nginx)
        )
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
        #expect(seen.finding(behind: ServerChain(.lighttpd)).verdict == verdict)
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
        ).finding(behind: ServerChain(.lighttpd))
    }

    @Test func `clients released at once or after a probe are ok`() {
        let atOnce = departures(after: 100, ["closed": 5])
        #expect(atOnce.verdict == .ok)
        #expect(atOnce.sentence.contains("at once"))
        let probed = departures(after: 20_100, ["probe": 5])
        #expect(probed.verdict == .ok)
        #expect(probed.sentence.contains("after a probe"))
    }

    @Test func `clients that remain held are a problem, with the lines for the server`() {
        let finding = departures(gone: 2, after: 30_000, ["closed": 2])
        #expect(finding.verdict == .problem)
        #expect(finding.sentence.contains("of 5 that left, 3 are still held"))
        #expect(finding.advice.contains { $0.contains("tcp-fin-propagate") })
    }

    @Test func `a deadline is not a departure`() {
        #expect(departures(after: 24_000, ["deadline": 5]).verdict == .problem)
        #expect(departures(after: 24_000, ["deadline": 5], granted: nil).verdict == .problem)
    }

    @Test func `endings of other clients do not count where the time is clear`() {
        #expect(departures(after: 12_000, ["deadline": 900, "closed": 2]).verdict == .ok)
        #expect(departures(after: 14_000, ["closed": 50]).verdict == .ok)
        #expect(departures(after: 24_000, ["closed": 50, "deadline": 5]).verdict == .problem)
    }

    @Test(arguments: [
        // A client that came meanwhile does not make up for one that left.
        (2, ["closed": 5], Verdict.unknown), (-3, ["closed": 9, "released": 4], .unknown),
        (0, [:], .problem), (2, ["closed": 2], .problem),
        // A message lets go of those whose departure did not show.
        (5, ["released": 12], .unknown), (5, ["released": 12, "closed": 6], .unknown),
        (5, ["closed": 5], .ok), (8, ["closed": 6, "probe": 2], .ok),
        (5, ["deadline": 7], .problem),
    ])
    func `other clients on the channel were taken for the departed ones`(
        gone: Int,
        endings: [String: Int],
        verdict: Verdict
    ) {
        let watch = DepartureObservation.Watch(
            gone: gone,
            milliseconds: 900,
            endings: endings,
            isAlone: false
        )
        let seen = DepartureObservation(
            version: "1.1",
            count: 5,
            patienceSeconds: 30,
            grantedSeconds: nil,
            outcome: .watched(watch)
        )
        #expect(seen.finding(behind: ServerChain(.nginx)).verdict == verdict)
    }

    @Test func `a single held request takes the singular`() {
        #expect(departures(gone: 4, after: 30_000, [:]).sentence.contains("1 is still held"))
    }

    @Test func `probes are advised where none are sent`() {
        func advice(probe: Int?) -> [String] {
            DepartureObservation(
                version: "2",
                count: 1,
                patienceSeconds: 30,
                grantedSeconds: 55,
                foundWithinMilliseconds: probe.map { $0 * 2000 },
                outcome: .watched(.init(gone: 0, milliseconds: 30_000, endings: [:]))
            ).finding(behind: ServerChain(.unknown)).advice
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
                foundWithinMilliseconds: 20_000,
                outcome: .watched(.init(gone: 0, milliseconds: patience * 1000, endings: [:]))
            ).finding(behind: ServerChain(.apache)).verdict
        }
        #expect(verdict(patience: 19) == .unknown)
        #expect(verdict(patience: 20) == .problem)
    }

    @Test(arguments: [DepartureObservation.Outcome.noResponder, .notShown(0), .notShown(4)])
    func `without observations the verdict is unknown`(outcome: DepartureObservation.Outcome) {
        let seen = DepartureObservation(
            version: "2",
            count: 5,
            patienceSeconds: 30,
            grantedSeconds: nil,
            outcome: outcome
        )
        #expect(seen.finding(behind: ServerChain(.nginx)).verdict == .unknown)
    }

    // MARK: Hold time

    @Test(arguments: [
        (HoldObservation.Outcome.whole, 23_000, Verdict.ok), (.whole, 2000, .unknown),
        (.messages, 7000, .unknown), (.messages, 23_000, .unknown),
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
        #expect(seen.finding(behind: ServerChain(.caddy)).verdict == verdict)
    }

    // MARK: Answers

    @Test func `missing HTTP 2 is a problem where browsers would use it`() {
        func verdict(_ http1: String?, _ http2: Bool, _ secure: Bool) -> Verdict {
            VersionObservation(http1: http1, http2: http2, isSecure: secure)
                .finding(behind: ServerChain(.nginx)).verdict
        }
        #expect(verdict("1.1", true, true) == .ok)
        #expect(verdict("1.1", false, false) == .ok)
        #expect(verdict("1.1", false, true) == .problem)
        #expect(verdict(nil, false, true) == .unknown)
    }

    @Test func `a server of HTTP 1 0 is not passed over`() {
        let seen = VersionObservation(http1: "1.0", http2: false, isSecure: false)
        #expect(seen.answered == ["1.0"])
        let finding = seen.finding(behind: ServerChain(.unknown))
        #expect(finding.verdict == .ok)
        #expect(finding.sentence.contains("HTTP/1.0"))
        #expect(
            VersionObservation(http1: "1.1", http2: true, isSecure: true).answered == ["1.1", "2"]
        )
    }

    @Test func `a URL that is too long for the server is not one whose answer is too long`() {
        func finding(_ status: Int?) -> Finding {
            URLObservation(
                usual: 200,
                trials: [.init(length: 2000, status: 200), .init(length: 4000, status: status)]
            ).finding(behind: ServerChain(.nginx))
        }
        #expect(finding(200).verdict == .ok)
        #expect(finding(414).advice == ["nginx: large_client_header_buffers 4 8k;"])
        #expect(finding(nil).advice == ["nginx: large_client_header_buffers 4 8k;"])
        #expect(finding(502).advice.first == "nginx: fastcgi_buffer_size 16k;")
        #expect(finding(414).sentence.contains("2000 bytes pass"))
    }

    @Test
    func `a page opened by forged parameters is a problem, an open one is a different problem`() {
        func verdicts(
            _ plain: RightsObservation.Trial.Answer?,
            _ forged: RightsObservation.Trial.Answer?
        ) -> [Verdict] {
            RightsObservation(
                pages: [.init(name: "-/status", plain: plain, forged: forged)],
                closed: nil
            ).findings(behind: ServerChain(.nginx)).map(\.verdict)
        }
        #expect(verdicts(.status(403), .status(403)) == [.ok, .ok])
        #expect(verdicts(.status(401), .open) == [.ok, .problem])
        #expect(verdicts(.open, .open) == [.problem, .unknown])
        // A page to log in.
        #expect(verdicts(.status(200), .status(200)) == [.ok, .ok])
        #expect(verdicts(.status(302), .status(302)) == [.ok, .ok])
        #expect(verdicts(.status(502), .status(502)) == [.unknown, .ok])
        #expect(verdicts(nil, nil) == [.unknown, .unknown])
    }

    // MARK: Other origins

    private func crossOrigin(_ answer: [String], _ preflight: [String]) -> Finding {
        CrossOriginObservation(
            origin: "https://a.example",
            answer: AnswerHead((["HTTP/1.1 200"] + answer).joined(separator: "\r\n")),
            preflight: AnswerHead(preflight.joined(separator: "\r\n"))
        ).finding(behind: ServerChain(.nginx))
    }

    private static let allowed = "Access-Control-Allow-Origin: https://a.example"
    private static let granted = [
        "HTTP/1.1 204", allowed, "Access-Control-Allow-Methods: GET, POST",
        "Access-Control-Allow-Headers: Content-Type",
    ]

    @Test func `an origin allowed for reading and publishing is ok`() {
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

    // MARK: Streams and holds

    @Test
    func `a poll that answers for a stream tells that Accept was lost, not that it was kept back`()
        throws
    {
        func finding(_ type: String) throws -> Finding? {
            let head = try #require(AnswerHead("HTTP/1.1 200\r\nContent-Type: \(type)"))
            return StreamTypeObservation(head).finding(behind: ServerChain(.nginx))
        }
        #expect(try finding("text/event-stream; charset=utf-8") == nil)
        #expect(try finding("application/json")?.sentence.contains("Accept is lost") == true)
    }

    @Test(arguments: [
        ([203, 201, 205, 202], Verdict.problem), ([0, 1, 260, 3], .ok), ([], .ok), ([149], .ok),
    ])
    func `events are late where each of them is`(delays: [Int], verdict: Verdict) {
        let finding = BufferingObservation(stream: .body, hold: nil, delays: delays)
            .finding(behind: ServerChain(.haproxy))
        #expect(finding.verdict == verdict)
        #expect(finding.advice.contains { $0.contains("http-no-delay") } == (verdict == .problem))
    }

    @Test(arguments: [
        ([20, 1050, 2070, 3080, 4090], true), ([20, 30, 40, 1060, 2080], true),
        ([20, 30, 40, 50, 900], false), ([400, 410, 420, 430, 440], false), ([], false),
    ])
    func `a server that begins one hold a second is found out`(times: [Int], isSlow: Bool) {
        let finding = PaceObservation(milliseconds: times).finding(behind: ServerChain(.apache))
        #expect((finding?.verdict == .problem) == isSlow)
        if isSlow { #expect(finding?.advice.contains { $0.contains("mod_fcgid") } == true) }
    }

    @Test func `a server with too few processes for the holds is found out`() {
        let seen = PaceObservation(milliseconds: [20, 30, 1100], count: 5, patienceSeconds: 12)
        #expect(
            seen.finding(behind: ServerChain(.apache))?.sentence.contains("only 3 were held")
                == true
        )
        // They may be on another machine.
        #expect(seen.finding(behind: ServerChain(.nginx)) == nil)
    }

    @Test func `held answers decide about compression, not pages`() {
        func verdict(_ samples: [CompressionObservation.Sample]) -> Verdict {
            CompressionObservation(samples: samples).finding(behind: ServerChain(.nginx)).verdict
        }
        let held = CompressionObservation.Sample(what: "A held answer is", encoding: nil)
        #expect(verdict([held]) == .ok)
        #expect(verdict([held, .init(what: "A stream is", encoding: "gzip")]) == .problem)
        #expect(verdict([]) == .unknown)
    }

    // MARK: Room

    private static let debian = """
        user www-data;
        worker_processes auto;
        # worker_connections 4096;
        events {
        \tworker_connections 768;
        }
        """

    private static func room(_ text: String, _ processors: Int, _ wanted: Int) -> RoomObservation {
        RoomObservation(
            configuration: text,
            processors: processors,
            wanted: wanted,
            file: "/etc/nginx/nginx.conf"
        )
    }

    @Test func `Debian's worker_connections are noted where Holdfast would hold more`() throws {
        let seen = Self.room(Self.debian, 2, 20_000)
        let finding = try #require(seen.finding(behind: ServerChain(.nginx)))
        #expect(finding.verdict == .note)
        #expect([finding].exitCode == 0)
        #expect(finding.sentence.contains("768 held requests"))
        // Another file may be in use, for which that was said, too.
        #expect(finding.sentence.hasPrefix("By /etc/nginx/nginx.conf, nginx "))
        #expect(finding.advice.contains { $0.contains("worker_connections 32768;") })
        let few = Self.room(Self.debian, 2, 700)
        #expect(few.finding(behind: ServerChain(.nginx)) == nil)
        let silent = Self.room("events { }", 8, 300)
        #expect(
            silent.finding(behind: ServerChain(.nginx))?.sentence.contains("256 held requests")
                == true
        )
    }
}
