internal import Bus
internal import Channels
internal import Configuration
internal import Core
internal import Endpoint
internal import FastCGICodec
internal import Glibc
internal import Liveness

/// What the process says about itself.
extension Responder {
    private var readings: Readings {
        var readings = Readings()
        readings.core = core.counters
        readings.shell = telemetry.counters
        readings.shell.pipeLines = pipes.lines
        readings.shell.pipeRefusals = pipes.refusals
        readings.shell.passedOver = siblings.passedOver
        readings.log = log.statistics
        readings.linesLost = telemetry.linesLost()
        readings.codecRefusals = codec.refusals
        readings.gauges.held = core.heldCount
        readings.gauges.interests = core.interestCount
        readings.gauges.pending = core.waitingCount
        readings.gauges.connections = connections.webCount
        readings.gauges.busClients = connections.busCount
        readings.gauges.unsentBytes = output.bytes
        readings.gauges.unfinishedBytes = connections.unfinishedBytes
        readings.gauges.members = core.memberCount
        readings.gauges.isLogAvailable = core.isLogAvailable
        readings.gauges.head = core.position?.offset.value ?? 0
        return readings
    }

    var snapshot: Snapshot {
        let readings = readings
        return Snapshot(
            pid: Int64(getpid()),
            uptimeSeconds: (now - telemetry.startedAt) / 1000,
            isReady: core.isReady,
            isServing: tenure.isServing,
            values: Figure.all.map { $0.read(readings) }
        )
    }

    func overview(_ survey: Telemetry.Survey) -> Overview {
        Overview(
            isService: isService,
            snapshots: [snapshot] + survey.snapshots.sorted { $0.pid < $1.pid },
            // One that came meanwhile may have answered without being asked.
            missing: max(0, survey.asked - survey.snapshots.count)
        )
    }

    /// Of the status object, without its braces.
    func statusMembers(_ overview: Overview) -> [UInt8] {
        let epoch = core.position.map { "\"\($0.epoch)\"" } ?? "null"
        let text =
            "\"version\":\"\(Version.current)\",\"epoch\":\(epoch),\(overview.members)"
            + ",\"limits\":\(limits),\"front_ends\":[\(frontEnds.joined(separator: ","))]"
        return Array(text.utf8)
    }

    /// What some of the figures may come to: in this process, but for the log, which is everybody's.
    private var limits: String {
        "{\"held\":\(core.heldLimit),\"connections\":\(bounds.web)"
            + ",\"bus_clients\":\(bounds.bus),\"channels\":\(settings.limits.channels)"
            + ",\"log_bytes\":\(settings.bus.maxBytes)}"
    }

    /// What this process thinks of the servers before it, and why.
    private var frontEnds: [String] {
        core.policy.entries.enumerated().dropFirst().map { index, entry in
            let place = ProbePolicy.Place(index)
            let why =
                switch (entry.wish.probe, settings.hold.probe) {
                case (let said?, _): "the web server says so: HOLDFAST_PROBE \(said ? "on" : "off")"
                case (nil, .auto): entry.why
                case (nil, .off), (nil, .always):
                    "holdfast.ini says so: probe = \(settings.hold.probe.rawValue)"
                }
            let streams =
                entry.streamsAreSafe
                ? "live as holdfast.ini says"
                : "live shorter: heartbeats have not found anybody there who has left one"
            let interval = core.probeMilliseconds(place)
            return "{\"server\":\(MessageEncoder.jsonString(entry.frontEnd.software))"
                + ",\"forwarded\":\(entry.frontEnd.isForwarded),\"probed\":\(core.isProbed(place))"
                + ",\"why\":\(MessageEncoder.jsonString(why)),\"holds\":\(entry.holds)"
                + ",\"probe_milliseconds\":\(interval)"
                + ",\"found_within_milliseconds\":\(interval * Int64(entry.frontEnd.probesNeeded))"
                + ",\"shown\":\(entry.evidence.shown),\"revealed\":\(entry.evidence.revealed)"
                + ",\"overtaken\":\(entry.evidence.overtaken)"
                + ",\"stream_seconds\":\(core.streamSeconds(place)),\"streams\":\"\(streams)\"}"
        }
    }
}
