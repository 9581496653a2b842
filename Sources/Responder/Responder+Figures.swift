internal import Bus
internal import Channels
internal import Configuration
internal import Core
internal import Endpoint
internal import FastCGICodec
internal import Glibc
internal import Identity
internal import Liveness
internal import Text

/// The figures of the process, and its status.
extension Responder {
    /// Without the figures of the process, which would require counting its descriptors.
    private var ownReadings: Readings {
        var readings = Readings()
        readings.core = core.counters
        readings.shell = telemetry.counters
        readings.shell.pipeLines = bus.lines
        readings.shell.pipeRefusals = bus.refusals
        readings.shell.passedOver = siblings.passedOver
        readings.log = log.statistics
        readings.engine = log.engineFigures
        readings.tokens = decoder.tokens.memory.counters
        readings.links = core.links
        readings.gauges.rememberedTokens = decoder.tokens.memory.count
        readings.linesLost = telemetry.linesLost()
        readings.codecRefusals = decoder.refusals
        readings.gauges.held = core.heldCount
        readings.gauges.interests = core.interestCount
        readings.gauges.pending = core.waitingCount
        readings.gauges.connections = connections.webCount
        readings.gauges.busClients = connections.busCount
        readings.gauges.unsentBytes = connections.unsentBytes
        readings.gauges.unfinishedBytes = connections.unfinishedBytes
        readings.gauges.members = core.memberCount
        readings.gauges.isLogAvailable = core.isLogAvailable
        readings.gauges.head = core.position?.offset.value ?? 0
        return readings
    }

    func snapshot(_ wish: FigureWish) -> Snapshot {
        var readings = ownReadings
        if wish == .process {
            readings.process = .now(uptimeMilliseconds: now - telemetry.startedAt)
        }
        return Snapshot(
            pid: Int64(getpid()),
            uptimeSeconds: (now - telemetry.startedAt) / 1000,
            isReady: core.isReady,
            isServing: bus.isServing,
            values: telemetry.values(readings),
            history: wish == .history ? telemetry.history.slots : []
        )
    }

    /// Keeps the figures of the slot that has ended, if one has.
    func keepHistory() {
        guard lifetime.isService, now >= telemetry.history.dueAt else { return }
        telemetry.keepHistory(telemetry.values(ownReadings), now: now)
    }

    /// For the service manager's own status.
    var statusLine: String {
        if core.position == nil { return "opening the log" }
        var parts = ["holding \(core.heldCount) requests"]
        if !telemetry.logTrouble.isEmpty {
            parts.append("the log cannot be used: \(telemetry.logTrouble)")
        } else if !isStopping, let why = core.whyNotReady {
            parts.append(why)
        }
        if telemetry.keepsOldSettings {
            parts.append("the ini file has problems, so the old settings stay")
        }
        return parts.joined(separator: "; ")
    }

    func overview(_ survey: Telemetry.Survey) -> Overview {
        Overview(
            isService: lifetime.isService,
            snapshots: [snapshot(FigureWish(survey.question))]
                + survey.snapshots.sorted { $0.pid < $1.pid },
            // A process that started meanwhile may have answered without being asked.
            missing: max(0, survey.asked - survey.snapshots.count)
        )
    }

    /// The members of the status object, without its braces.
    func statusMembers(of survey: Telemetry.Survey) -> [UInt8] {
        let overview = overview(survey)
        var bytes: [UInt8] = []
        bytes.append(member: "version", text: Version.current)
        if let epoch = core.position?.epoch {
            bytes.append(member: "epoch", text: epoch.description)
        } else {
            bytes.append(nullMember: "epoch")
        }
        overview.appendMembers(to: &bytes, engine: log.engineFigures, now: now)
        appendLimits(to: &bytes)
        appendFrontEnds(to: &bytes)
        overview.snapshots.map(\.history).appendHistory(to: &bytes, now: now)
        return bytes
    }

    /// The bounds of some figures: those of this process, except for the log, which all processes share.
    private func appendLimits(to bytes: inout [UInt8]) {
        bytes.append(member: "limits")
        bytes.openObject()
        bytes.append(member: "held", core.heldLimit)
        bytes.append(member: "connections", connections.bounds.web)
        bytes.append(member: "bus_clients", connections.bounds.bus)
        bytes.append(member: "channels", settings.limits.channels)
        bytes.append(member: "log_bytes", Int(settings.bus.maxBytes))
        if let engine = settings.bus.engine {
            bytes.append(member: "lag_seconds", engine.maxLagSeconds)
        }
        bytes.closeObject()
    }

    /// This process's verdicts on the servers in front of it, with the reasons.
    private func appendFrontEnds(to bytes: inout [UInt8]) {
        bytes.append(member: "front_ends")
        bytes.openArray()
        for (index, entry) in core.policy.entries.enumerated().dropFirst() {
            let place = ProbePolicy.Place(index)
            let why =
                switch (entry.wish.probe, settings.hold.probe) {
                case (let said?, _): "the web server says so: HOLDFAST_PROBE \(said ? "on" : "off")"
                case (nil, .auto): entry.why
                case (nil, .off), (nil, .always):
                    "holdfast.ini says so: probe = \(settings.hold.probe.rawValue)"
                }
            let interval = Int(core.probeMilliseconds(place))
            bytes.beginElement()
            bytes.openObject()
            bytes.append(member: "server", text: entry.frontEnd.software)
            bytes.append(member: "forwarded", entry.frontEnd.isForwarded)
            bytes.append(member: "probed", core.isProbed(place))
            bytes.append(member: "why", text: why)
            bytes.append(member: "holds", entry.holds)
            bytes.append(member: "probe_milliseconds", interval)
            bytes.append(
                member: "found_within_milliseconds",
                interval * entry.frontEnd.probesNeeded
            )
            bytes.append(member: "shown", entry.evidence.shown)
            bytes.append(member: "revealed", entry.evidence.revealed)
            bytes.append(member: "overtaken", entry.evidence.overtaken)
            bytes.append(member: "stream_seconds", core.streamSeconds(place))
            bytes.append(
                member: "streams",
                word: entry.streamsAreSafe
                    ? "live as holdfast.ini says"
                    : "live shorter: heartbeats have not revealed a departed client there"
            )
            bytes.closeObject()
        }
        bytes.closeArray()
    }
}
