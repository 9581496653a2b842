import Liveness
import Testing

@Suite final class `The policy of probing` {
    private var now: Int64 = 0

    private func place(
        _ policy: inout ProbePolicy,
        _ software: String,
        forwarded: Bool = false
    ) -> ProbePolicy.Place {
        policy.place(of: FrontEnd(software: software, isForwarded: forwarded)).place
    }

    private func opening(
        _ policy: ProbePolicy,
        _ place: ProbePolicy.Place,
        _ mode: ProbePolicy.Mode = .auto,
        headers: Bool = false,
        _ wish: ProbePolicy.Wish = ProbePolicy.Wish()
    ) -> ProbePolicy.Opening {
        policy.opening(place, mode, headers: headers, wish)
    }

    @Test(arguments: [
        ("nginx/1.22.1", false, ProbePolicy.Opening.silent), ("nginx/1.22.1", true, .probed),
        ("lighttpd/1.4.69", false, .headers), ("Apache/2.4.62 (Debian)", false, .probed),
        ("Caddy/v2.6.2", false, .probed), ("h2o/2.2.5", false, .probed),
        ("busybox httpd/1.35.0", false, .probed), ("HAProxy 2.6.12", false, .silent),
        ("lighttpd/1.4.69", true, .probed), ("HAProxy 2.6.12", true, .probed),
        ("", false, .silent), ("something else", false, .silent), ("something else", true, .probed),
    ])
    func `a server is known by its name`(
        software: String,
        forwarded: Bool,
        expected: ProbePolicy.Opening
    ) {
        var policy = ProbePolicy()
        let place = place(&policy, software, forwarded: forwarded)
        #expect(opening(policy, place) == expected)
        #expect(opening(policy, place, .always) == .probed)
        #expect(opening(policy, place, .off) == .silent)
        #expect(opening(policy, place, .off, headers: true) == .headers)
    }

    @Test func `the web server's parameters take precedence`() {
        var policy = ProbePolicy()
        let apache = place(&policy, "Apache/2.4.62")
        let nginx = place(&policy, "nginx/1.22.1")
        let lighttpd = place(&policy, "lighttpd/1.4.69")
        #expect(opening(policy, apache, .always, .init(probe: false)) == .silent)
        #expect(opening(policy, nginx, .off, .init(probe: true)) == .probed)
        #expect(opening(policy, lighttpd, .auto, .init(headers: false)) == .silent)
        #expect(opening(policy, nginx, .auto, .init(headers: true)) == .headers)
    }

    /// Signs of polls that were sent nothing, or with a chance to be taken for an echo; a second apart each.
    private func see(
        _ sign: ProbePolicy.Sign,
        _ count: Int,
        _ policy: inout ProbePolicy,
        _ place: ProbePolicy.Place,
        isStream: Bool = false,
        chance: Double = 0,
        apart: Int64 = 1000
    ) -> [Int] {
        (1...count).filter { _ in
            now += apart
            return policy.saw(sign, place, isStream: isStream, chance: chance, at: now)
        }
    }

    @Test func `a server that shows little is silent after three overtaken requests`() {
        var policy = ProbePolicy()
        let place = place(&policy, "nginx/1.22.1")
        #expect(see(.overtaken, 3, &policy, place) == [3])
        #expect(opening(policy, place) == .probed)
        #expect(policy.entries[Int(place)].why.contains("3 times"))
    }

    @Test func `a few overtaken requests prove nothing if many departures showed`() {
        var policy = ProbePolicy()
        let place = place(&policy, "nginx/1.22.1")
        #expect(see(.shown, 100, &policy, place) == [])
        #expect(see(.overtaken, 8, &policy, place) == [])
        #expect(opening(policy, place) == .silent)
        #expect(policy.entries[Int(place)].why.contains("8 others look like chance"))
    }

    @Test func `a server that shows resets and hides closes does not pass for one that shows all`()
    {
        var policy = ProbePolicy()
        let place = place(&policy, "nginx/1.22.1")
        // Three of four clients reset, or speak HTTP/2; those that close are found by heartbeats of 15 s.
        for round in 1...20 {
            _ = see(.shown, 3, &policy, place, isStream: true, chance: 1.0 / 60)
            let changed = see(.revealed, 1, &policy, place, isStream: true, chance: 1.0 / 60)
            if !changed.isEmpty { return #expect(round < 8) }
        }
        Issue.record("nothing was learned")
    }

    @Test func `departures that look like echoes by chance do not count`() {
        var policy = ProbePolicy()
        let place = place(&policy, "nginx/1.22.1")
        for _ in 1...200 {
            #expect(see(.shown, 39, &policy, place, chance: 1.0 / 40) == [])
            #expect(see(.revealed, 1, &policy, place, chance: 1.0 / 40) == [])
        }
    }

    @Test func `departures of streams that heartbeats alone find make polls be probed`() {
        var policy = ProbePolicy()
        let place = place(&policy, "nginx/1.22.1")
        #expect(
            see(.revealed, 3, &policy, place, isStream: true, chance: 1.0 / 60, apart: 1) == [3]
        )
        #expect(opening(policy, place) == .probed)
    }

    @Test func `what was learned can be unlearned, but not what is known of a kind of server`() {
        var policy = ProbePolicy()
        let nginx = place(&policy, "nginx/1.22.1")
        let apache = place(&policy, "Apache/2.4.62")
        _ = see(.revealed, 3, &policy, nginx)
        #expect(opening(policy, nginx) == .probed)
        #expect(see(.shown, 100, &policy, nginx, chance: 1.0 / 40).count == 1)
        #expect(opening(policy, nginx) == .silent)
        #expect(see(.shown, 10_000, &policy, apache) == [])
        #expect(opening(policy, apache) == .probed)
    }

    @Test
    func `behind a proxy of which nothing is known polls are probed until it has shown departures`()
    {
        var policy = ProbePolicy()
        let place = place(&policy, "nginx/1.22.1", forwarded: true)
        #expect(opening(policy, place) == .probed)
        #expect(policy.entries[Int(place)].why.contains("may hide departures"))
        #expect(see(.shown, 30, &policy, place, chance: 1.0 / 20).count == 1)
        #expect(opening(policy, place) == .silent)
        #expect(policy.entries[Int(place)].why.contains("it shows departures"))
    }

    @Test func `a server that restarts and closes all at once has shown nothing`() {
        var policy = ProbePolicy()
        let place = place(&policy, "nginx/1.22.1", forwarded: true)
        #expect(see(.shown, 900, &policy, place, chance: 1.0 / 20, apart: 1) == [])
        #expect(opening(policy, place) == .probed)
    }

    // MARK: Intervals

    @Test(arguments: [
        ("Apache/2.4.62", false, 10, 25, 10_000), ("Apache/2.4.62", true, 10, 25, 5000),
        ("Caddy/v2.6.2", false, 10, 25, 5000), ("nginx/1.22.1", true, 10, 25, 5000),
        ("nginx/1.22.1", true, 10, 55, 10_000), ("Caddy/v2.6.2", false, 3, 25, 3000),
        ("Caddy/v2.6.2", false, 10, 1, 1000),
    ])
    func `the probes that a front end needs fit into a hold`(
        software: String,
        forwarded: Bool,
        interval: Int,
        maxWait: Int,
        expected: Int
    ) {
        var policy = ProbePolicy()
        let place = place(&policy, software, forwarded: forwarded)
        let found = policy.intervalMilliseconds(
            place,
            probeSeconds: interval,
            maxWaitSeconds: maxWait
        )
        #expect(found == expected)
    }

    // MARK: Streams

    private func seconds(_ policy: ProbePolicy, _ place: ProbePolicy.Place) -> Int {
        policy.streamSeconds(place, life: 1800, heartbeat: 15)
    }

    @Test func `streams live shorter until heartbeats have found departed clients`() {
        var policy = ProbePolicy()
        let apache = place(&policy, "Apache/2.4.62")
        #expect(seconds(policy, apache) == 120)
        // Polls, whose probes may be larger, say nothing of heartbeats.
        _ = see(.revealed, 20, &policy, apache, chance: 1.0 / 40)
        #expect(seconds(policy, apache) == 120)
        _ = see(.revealed, 2, &policy, apache, isStream: true, chance: 1.0 / 60)
        #expect(seconds(policy, apache) == 1800)
        for _ in 1...16 { policy.outlived(apache) }
        #expect(seconds(policy, apache) == 120)
    }

    @Test func `a departure now and then keeps the life of streams as it is`() {
        var policy = ProbePolicy()
        let apache = place(&policy, "Apache/2.4.62")
        _ = see(.revealed, 2, &policy, apache, isStream: true, chance: 1.0 / 60)
        for _ in 1...10 {
            for _ in 1...15 { policy.outlived(apache) }
            _ = see(.revealed, 1, &policy, apache, isStream: true, chance: 1.0 / 60)
        }
        #expect(seconds(policy, apache) == 1800)
    }

    @Test func `streams live as long as the ini file says where departures show`() {
        var policy = ProbePolicy()
        let nginx = place(&policy, "nginx/1.22.1")
        for _ in 1...100 { policy.outlived(nginx) }
        #expect(seconds(policy, nginx) == 1800)
        let proxied = place(&policy, "nginx/1.22.1", forwarded: true)
        #expect(seconds(policy, proxied) == 120)
        #expect(policy.streamSeconds(proxied, life: 60, heartbeat: 15) == 60)
        _ = see(.shown, 30, &policy, proxied, isStream: true, chance: 1.0 / 60)
        #expect(seconds(policy, proxied) == 1800)
    }

    @Test func `where the web server asks for probes its streams live shorter, too`() {
        var policy = ProbePolicy()
        let frontEnd = FrontEnd(software: "nginx/1.22.1", isForwarded: false)
        let place = policy.place(of: frontEnd, .init(probe: true)).place
        #expect(policy.entries[Int(place)].wish.probe == true)
        #expect(seconds(policy, place) == 120)
    }

    @Test func `the table of front ends is bounded, and a known one keeps its place`() {
        var policy = ProbePolicy()
        let first = policy.place(of: FrontEnd(software: "a", isForwarded: false))
        #expect(first.isNew && first.place == 1)
        for number in 0..<100 {
            _ = policy.place(of: FrontEnd(software: "server\(number)", isForwarded: false))
        }
        #expect(policy.entries.count == 16)
        let again = policy.place(of: FrontEnd(software: "a", isForwarded: false))
        #expect(again == (1, false))
        let late = policy.place(of: FrontEnd(software: "late", isForwarded: false))
        #expect(late == (0, false))
    }

    @Test func `a front end that comes again is counted in its place, whatever came between`() {
        var policy = ProbePolicy()
        for software in ["", "a", "a", "b", "a", "", "b"] {
            _ = policy.place(of: FrontEnd(software: software, isForwarded: false))
        }
        // One without a name does not count as a front end without a place.
        #expect(policy.entries.map(\.holds) == [0, 2, 3, 2])
    }
}

@Suite struct `The budget of holds` {
    @Test func `holds are not shortened while half of the places are free`() {
        for held in 0...50 {
            #expect(HoldBudget.waitMilliseconds(asked: 25_000, held: held, limit: 100) == 25_000)
        }
    }

    @Test func `then holds become shorter, down to a tenth`() {
        var before = 25_000
        for held in 51...100 {
            let wait = HoldBudget.waitMilliseconds(asked: 25_000, held: held, limit: 100)
            #expect(wait < before)
            before = wait
        }
        #expect(before == 2500)
    }

    @Test func `a shortened hold is at least a second, and never longer than asked`() {
        #expect(HoldBudget.waitMilliseconds(asked: 500, held: 99, limit: 100) == 500)
        #expect(HoldBudget.waitMilliseconds(asked: 3000, held: 100, limit: 100) == 1000)
        #expect(HoldBudget.waitMilliseconds(asked: 25_000, held: 7, limit: 1) == 2500)
    }
}
