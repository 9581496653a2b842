import Channels
import Configuration
import FastCGI
import Liveness
import Testing

@testable import Core

@Suite final class `Servers in front of the process` {
    private var ends: FrontEnds
    private var actions = Actions()
    private let settings: HoldSettings

    init() {
        var settings = HoldSettings()
        (settings.probeSeconds, settings.maxWaitSeconds, settings.heartbeatSeconds) = (5, 25, 15)
        self.settings = settings
        ends = FrontEnds(settings: settings)
    }

    private func origin(_ software: String, isForwarded: Bool = false) -> RequestOrigin {
        var origin = RequestOrigin()
        origin.frontEnd = FrontEnd(software: software, isForwarded: isForwarded)
        return origin
    }

    private func held(_ kind: HeldTable.Kind, _ place: ProbePolicy.Place) -> HeldTable.Held {
        HeldTable.Held(
            connection: 1,
            requestID: .first,
            keepConnection: true,
            kind: kind,
            frontEnd: place,
            interest: 0
        )
    }

    private func place(_ software: String, isForwarded: Bool = false) -> ProbePolicy.Place {
        ends.place(of: origin(software, isForwarded: isForwarded), &actions)
    }

    /// - Parameter sinceDue: milliseconds from the time at which its last probe was due to the departure.
    private func depart(
        _ kind: HeldTable.Kind,
        _ place: ProbePolicy.Place,
        sinceDue: Int64,
        messagesAt: Int64 = .min / 2
    ) -> Ending {
        let now: Int64 = 1_000_000
        let interval =
            kind == .stream ? ends.heartbeatMilliseconds : ends.probeMilliseconds(place)
        return ends.departed(
            held(kind, place),
            nextProbe: now - sinceDue + interval,
            messagesAt: messagesAt,
            now: now,
            &actions
        )
    }

    private func evidence(_ place: ProbePolicy.Place) -> Evidence {
        ends.policy.entries[Int(place)].evidence
    }

    private func takeNotices() -> [String] {
        defer { actions.removeAll() }
        return actions.errands.map { if case .notice(_, let text) = $0 { text } else { "" } }
    }

    // MARK: Departures

    @Test(
        arguments: [
            (0, Ending.probe), (250, .probe), (251, .closed), (4000, .closed),
            // The wheel has rounded; a reload has changed the interval.
            (-64, .probe), (-65, .closed), (-10_000, .closed),
        ] as [(Int64, Ending)]
    )
    func `a departure within the time of an echo is revealed by the probe`(
        sinceDue: Int64,
        ending: Ending
    ) {
        let apache = place("Apache/2.4")
        let ended = depart(.probedPoll, apache, sinceDue: sinceDue)
        #expect(ended == ending)
        #expect(evidence(apache).revealed == (ending == .probe ? 1 : 0))
        #expect(evidence(apache).shown == (ending == .probe ? 0 : 1))
    }

    @Test(arguments: [HeldTable.Kind.poll, .begunPoll])
    func `the departure of a poll without probes shows by itself`(kind: HeldTable.Kind) {
        let nginx = place("nginx/1.28")
        let ended = depart(kind, nginx, sinceDue: 0)
        #expect(ended == .closed && evidence(nginx).shown == 1 && evidence(nginx).revealed == 0)
    }

    @Test func `a poll whose next probe is not known departs by itself`() {
        let apache = place("Apache/2.4")
        // As if a probe had been due now: it is not known to have gone out before.
        let ended = ends.departed(
            held(.probedPoll, apache),
            nextProbe: nil,
            messagesAt: 0,
            now: 1_000_000,
            &actions
        )
        #expect(ended == .probe)
    }

    @Test func `a client of the bus socket shows nothing of a front end`() {
        let ended = depart(.lines, 0, sinceDue: 0)
        #expect(ended == .closed && evidence(0) == Evidence())
    }

    @Test func `a departure from a stream just after a message teaches nothing`() {
        let nginx = place("nginx/1.28")
        let soon = depart(.stream, nginx, sinceDue: 4000, messagesAt: 1_000_000 - 250)
        #expect(soon == .closed && evidence(nginx) == Evidence())
        let later = depart(.stream, nginx, sinceDue: 4000, messagesAt: 1_000_000 - 251)
        #expect(later == .closed && evidence(nginx).shown == 1)
    }

    @Test func `a departure from a stream just after a heartbeat is revealed by that`() {
        let nginx = place("nginx/1.28")
        let ended = depart(.stream, nginx, sinceDue: 100)
        #expect(ended == .probe && evidence(nginx).revealed == 1)
    }

    // MARK: What the operator is told

    @Test
    func `a kind of server that hides departures is told once, when it is first seen`() {
        _ = place("Apache/2.4")
        #expect(
            takeNotices() == [
                "long-polls behind Apache/2.4 are probed every 5 s: servers of this kind hide departures"
            ]
        )
        _ = place("Apache/2.4")
        _ = place("nginx/1.28")
        #expect(takeNotices() == [])
    }

    @Test func `nothing is told where the ini file decides`() {
        var settings = settings
        settings.probe = .always
        ends.reload(settings)
        _ = place("Apache/2.4")
        #expect(takeNotices() == [])
    }

    @Test func `a verdict that changes is told, and so is that streams live shorter`() {
        let nginx = place("nginx/1.28")
        for _ in 0..<3 { ends.saw(.overtaken, nginx, now: 0, &actions) }
        let notices = takeNotices()
        #expect(notices.count == 2)
        #expect(
            notices[0].hasPrefix("long-polls behind nginx/1.28 are probed every 5 s: clients came")
        )
        #expect(
            notices[1]
                == "streams behind nginx/1.28 live 120 s at most: heartbeats have not revealed a departed client there"
        )
        #expect(ends.streamSeconds(nginx, life: 1800) == 120)
        // Heartbeats prove themselves.
        for _ in 0..<3 { _ = depart(.stream, nginx, sinceDue: 10) }
        #expect(
            takeNotices() == [
                "streams behind nginx/1.28 live 1800 s at most: departures are revealed"
            ]
        )
        #expect(ends.streamSeconds(nginx, life: 1800) == 1800)
        // They must do so again where no departure has been found for long.
        for _ in 0..<16 { ends.outlived(nginx, &actions) }
        #expect(takeNotices().count == 1 && ends.streamSeconds(nginx, life: 1800) == 120)
    }

    @Test func `a missing address is told once`() {
        ends.missesAddress(&actions)
        ends.missesAddress(&actions)
        #expect(takeNotices().count == 1)
    }

    // MARK: Holds

    @Test func `holds of a silent front end are probed, a little before the interval`() {
        let (apache, nginx) = (place("Apache/2.4"), place("nginx/1.28"))
        #expect(ends.isProbed(apache) && !ends.isProbed(nginx))
        #expect(ends.opening(apache, .init()) == .probed)
        #expect(ends.opening(nginx, .init()) == .silent)
        #expect(ends.opening(nginx, .init(probe: true)) == .probed)
        #expect(ends.probeMilliseconds(apache) == 5000)
        #expect(ends.firstProbeMilliseconds(apache) == 5000 - 250 - 2 * 64)
        #expect(ends.blanks == [0x20] && ends.heartbeatMilliseconds == 15_000)
    }

    @Test func `the web server's own word decides, until its next request`() {
        var origin = origin("Apache/2.4")
        origin.wish.probe = false
        let apache = ends.place(of: origin, &actions)
        #expect(!ends.isProbed(apache))
        _ = place("Apache/2.4")
        #expect(ends.isProbed(apache))
    }

    @Test func `another process goes on with what was learned`() {
        let nginx = place("nginx/1.28")
        for _ in 0..<3 { ends.saw(.overtaken, nginx, now: 0, &actions) }
        var other = FrontEnds(settings: settings)
        let places = other.resume(ends.policy.learned)
        #expect(places.count == 2 && other.isProbed(places[Int(nginx)]))
    }
}
