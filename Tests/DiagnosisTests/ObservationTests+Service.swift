import Diagnosis
import Testing

/// The site as a whole: whether Holdfast is there, is ready, and is on a machine that is up to date.
extension ObservationTests {
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

    // MARK: The service

    private typealias Service = ServiceObservation

    @Test(arguments: [
        (200, Service.Author.holdfast(code: nil), Verdict.ok),
        (503, .holdfast(code: "not_ready"), .problem), (502, .other, .problem),
        (404, .other, .problem), (301, .other, .problem), (401, .other, .problem),
    ])
    func `a site without a ready Holdfast is a problem`(
        status: Int,
        author: ServiceObservation.Author,
        verdict: Verdict
    ) {
        let seen = ServiceObservation(
            status: status,
            location: "https://b.example/",
            author: author
        )
        #expect(seen.finding(behind: ServerChain(.unknown)).verdict == verdict)
    }

    @Test func `a Holdfast that is not ready says why`() {
        let author = Service.author(isReady: false, whyNotReady: "it lags", type: nil, code: nil)
        let finding = ServiceObservation(status: 503, author: author)
            .finding(behind: ServerChain(.nginx))
        #expect(finding.verdict == .problem)
        #expect(finding.sentence == "Holdfast is not ready: it lags.")
    }

    // MARK: Several machines

    private func machines(
        lag: Int?,
        groups: Int? = 0,
        publishes: Bool = true,
        follows: Bool? = true,
        count: Int = 3,
        away: Int = 0
    ) -> Finding {
        MachinesObservation(
            head: 123,
            lagGroups: groups,
            lagMilliseconds: lag,
            limitSeconds: 10,
            canPublish: publishes,
            canFollow: follows,
            machines: count,
            away: away
        ).finding
    }

    @Test func `a machine that is up to date says so, and how many there are`() {
        #expect(machines(lag: 0).verdict == .ok)
        #expect(
            machines(lag: 0).sentence
                == "This machine is up to date (group 123); the site has 3 machines."
        )
        #expect(machines(lag: 0, count: 1).sentence.hasSuffix("the site has no other machine."))
        let away = machines(lag: 0, away: 1)
        #expect(away.verdict == .note && away.sentence.contains("1 of them has not been seen"))
    }

    @Test func `the lag is told in a sentence, and is a problem beyond max_lag`() {
        let small = machines(lag: 2400, groups: 3)
        #expect(small.verdict == .note)
        #expect(
            small.sentence
                == "This machine is 3 groups behind the engine (group 123), and has not been up to date for 2 s; "
                + "the site has 3 machines."
        )
        #expect(machines(lag: 2400, groups: 1).sentence.contains("is 1 group behind"))
        let large = machines(lag: 95_000, groups: 312)
        #expect(large.verdict == .problem && large.sentence.contains("312 groups behind"))
        #expect(large.sentence.contains("for 95 s") && !large.advice.isEmpty)
        let stuck = machines(lag: 95_000, groups: nil, follows: nil)
        #expect(stuck.verdict == .problem && stuck.sentence.contains("behind the engine"))
    }

    @Test func `a machine that is cut off is a problem at once`() {
        let cutOff = machines(lag: 4000, publishes: false, follows: false)
        #expect(cutOff.verdict == .problem && cutOff.sentence.contains("Nothing can be published"))
        #expect(cutOff.sentence.contains("or rejects writes; it was up to date 4 s ago"))
        let deaf = machines(lag: 0, follows: false)
        #expect(deaf.verdict == .problem && deaf.sentence.contains("does not arrive"))
    }

    // MARK: Mounts

    @Test func `another mount is not a service that is not ready`() {
        let seen = ServiceObservation(
            status: 404,
            author: .holdfast(code: "not_found"),
            path: "/live/",
            responder: .init(base: "/push/")
        )
        let finding = seen.finding(behind: ServerChain(.nginx))
        #expect(finding.sentence.contains("mounted elsewhere"))
        #expect(finding.sentence.contains("/push/"))
        #expect(finding.advice.contains { $0.contains("HOLDFAST_BASE /live/") })
    }

    @Test(arguments: [
        (403, Service.Author.holdfast(code: "forbidden")),
        (400, .holdfast(code: "invalid_channel")), (200, .channel), (403, .channel),
    ])
    func `a URL that goes too deep was called a service that is not ready`(
        status: Int,
        author: ServiceObservation.Author
    ) {
        let seen = ServiceObservation(
            status: status,
            author: author,
            path: "/push/chat/",
            responder: .init(base: "/push/")
        )
        let finding = seen.finding(behind: ServerChain(.nginx))
        #expect(finding.verdict == .problem)
        #expect(finding.sentence.contains("takes /push/chat/-/ready for a channel"))
        #expect(finding.sentence.contains("mounted at /push/ here"))
        #expect(!finding.lines.joined().contains("journalctl"))
    }

    @Test func `what a channel open to all answers in the place of ready is Holdfast's`() {
        let author = ServiceObservation.author(
            isReady: false,
            type: "application/json",
            code: nil,
            hasCursor: true
        )
        #expect(author == .channel)
    }

    @Test func `a web server that does not reach a service that runs is not told to start it`() {
        func advice(_ responder: ServiceObservation.Responder?) -> String {
            let seen = ServiceObservation(status: 502, author: .other, responder: responder)
            return seen.finding(behind: ServerChain(.nginx)).lines.joined(separator: "\n")
        }
        #expect(advice(nil).contains("systemctl status holdfast"))
        let running = advice(.init(listen: "/run/holdfast/holdfast.sock", base: "/push/"))
        #expect(!running.contains("systemctl"))
        #expect(running.contains("/run/holdfast/holdfast.sock"))
    }

    @Test func `what the web server says while Holdfast is away is not Holdfast's word`() {
        func author(_ type: String, _ code: String?) -> ServiceObservation.Author {
            ServiceObservation.author(isReady: false, type: type, code: code)
        }
        #expect(author("application/problem+json", "away") == .other)
        #expect(author("application/problem+json", nil) == .other)
        #expect(author("text/html", "not_found") == .other)
        #expect(author("application/problem+json", "not_found") == .holdfast(code: "not_found"))
    }
}
