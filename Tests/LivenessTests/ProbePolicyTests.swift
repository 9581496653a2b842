import Liveness
import Testing

@Suite struct `The policy of probing` {
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
        ("nginx/1.22.1", false, ProbePolicy.Opening.silent), ("nginx/1.22.1", true, .silent),
        ("lighttpd/1.4.69", false, .headers), ("Apache/2.4.62 (Debian)", false, .probed),
        ("Caddy/v2.6.2", false, .probed), ("h2o/2.2.5", false, .probed),
        ("busybox httpd/1.35.0", false, .probed), ("HAProxy 2.6.12", false, .silent),
        ("", false, .silent), ("something else", true, .silent),
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

    @Test func `the web server's parameters have the last word`() {
        var policy = ProbePolicy()
        let apache = place(&policy, "Apache/2.4.62")
        let nginx = place(&policy, "nginx/1.22.1")
        let lighttpd = place(&policy, "lighttpd/1.4.69")
        #expect(opening(policy, apache, .always, .init(probe: false)) == .silent)
        #expect(opening(policy, nginx, .off, .init(probe: true)) == .probed)
        #expect(opening(policy, lighttpd, .auto, .init(headers: false)) == .silent)
        #expect(opening(policy, nginx, .auto, .init(headers: true)) == .headers)
    }

    @Test func `who was overtaken three times behind a server that showed little is silent`() {
        var policy = ProbePolicy()
        let place = place(&policy, "nginx/1.22.1", forwarded: true)
        let changes = (1...3).map { _ in policy.saw(.overtaken, place) }
        #expect(changes == [false, false, true])
        #expect(opening(policy, place) == .probed)
        #expect(policy.entries[Int(place)].why.contains("3 times"))
    }

    @Test func `a few that were overtaken prove nothing where many departures showed`() {
        var policy = ProbePolicy()
        let place = place(&policy, "nginx/1.22.1")
        var changes = (0..<100).filter { _ in policy.saw(.shown, place) }
        changes += (0..<24).filter { _ in policy.saw(.overtaken, place) }
        #expect(changes == [])
        #expect(opening(policy, place) == .silent)
        let changed = policy.saw(.overtaken, place)
        #expect(changed)
        #expect(opening(policy, place) == .probed)
    }

    @Test func `what was learned is unlearned, but not what is known of a kind`() {
        var policy = ProbePolicy()
        let nginx = place(&policy, "nginx/1.22.1", forwarded: true)
        let apache = place(&policy, "Apache/2.4.62")
        for _ in 0..<3 { _ = policy.saw(.revealed, nginx) }
        #expect(opening(policy, nginx) == .probed)
        var changes = (0..<49).filter { _ in policy.saw(.shown, nginx) }
        #expect(changes == [48])
        #expect(opening(policy, nginx) == .silent)
        changes = (0..<10_000).filter { _ in policy.saw(.shown, apache) }
        #expect(changes == [])
        #expect(opening(policy, apache) == .probed)
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
}

@Suite struct `The budget of holds` {
    @Test func `the first half of the places costs nobody anything`() {
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

    @Test func `nobody waits longer than asked, or shorter than a second for this reason`() {
        #expect(HoldBudget.waitMilliseconds(asked: 500, held: 99, limit: 100) == 500)
        #expect(HoldBudget.waitMilliseconds(asked: 3000, held: 100, limit: 100) == 1000)
        #expect(HoldBudget.waitMilliseconds(asked: 25_000, held: 7, limit: 1) == 2500)
    }
}
