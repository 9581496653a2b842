internal import BrowserClient
internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import FastCGICodec
internal import Glibc
internal import Liveness
internal import Reactor

/// What the responder says about itself: `-/ready`, `-/metrics`, `-/status`, and the pages it carries.
extension Responder {
    func page(_ request: PageRequest) -> Answer {
        guard let page = Pages.page(named: request.name) else { return request.notFound() }
        return request.answer(
            body: page.bytes,
            gzipped: page.gzipped,
            contentType: page.contentType,
            etag: page.etag
        )
    }

    var isReady: Bool { tail != nil && logTrouble == nil && !isStopping }

    func readiness(_ shape: Shape) -> Answer {
        if isStopping { return shape.notReady("the service is stopping") }
        guard isReady else { return shape.notReady("the log is not available at the moment") }
        return shape.plain("text/plain; charset=utf-8", "ready\n")
    }

    func metricsPage(_ shape: Shape, _ overview: Overview) -> Answer {
        shape.plain("text/plain; version=0.0.4; charset=utf-8", overview.prometheusText)
    }

    func statusPage(_ shape: Shape, _ overview: Overview) -> Answer {
        let body = [0x7B] + statusMembers(overview) + [0x7D, 0x0A]
        return shape.plain("application/json; charset=utf-8", body)
    }

    /// Of a JSON object, without its braces.
    func statusMembers(_ overview: Overview) -> [UInt8] {
        let epoch = tail.map { "\"\($0.epochs.current)\"" } ?? "null"
        return Array(
            "\"version\":\"\(Version.current)\",\"epoch\":\(epoch),\(overview.members),\"limits\":\(limits)"
                .utf8
        ) + frontEnds
    }

    /// What some of the figures may come to: in this process, but for the log, which is everybody's.
    private var limits: String {
        "{\"held\":\(heldLimit),\"connections\":\(connectionLimit)"
            + ",\"bus_clients\":\(busClientLimit),\"channels\":\(settings.limits.channels)"
            + ",\"log_bytes\":\(settings.bus.maxBytes)}"
    }

    /// What this process thinks of the servers before it, and why.
    private var frontEnds: [UInt8] {
        var parts: [String] = []
        for (index, entry) in policy.entries.enumerated().dropFirst() {
            let place = ProbePolicy.Place(index)
            let most = streamSeconds(place, life: settings.hold.streamSeconds)
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
            parts.append(
                "{\"server\":\(MessageEncoder.jsonString(entry.frontEnd.software))"
                    + ",\"forwarded\":\(entry.frontEnd.isForwarded),\"probed\":\(isProbed(place))"
                    + ",\"why\":\(MessageEncoder.jsonString(why)),\"holds\":\(entry.holds)"
                    + ",\"probe_milliseconds\":\(probeMilliseconds(place))"
                    + ",\"found_within_milliseconds\":\(probeMilliseconds(place) * Int64(entry.frontEnd.probesNeeded))"
                    + ",\"shown\":\(entry.evidence.shown),\"revealed\":\(entry.evidence.revealed)"
                    + ",\"overtaken\":\(entry.evidence.overtaken)"
                    + ",\"stream_seconds\":\(most),\"streams\":\"\(streams)\"}"
            )
        }
        return Array(",\"front_ends\":[\(parts.joined(separator: ","))]".utf8)
    }

    /// All that this process counts, in a fixed order.
    var figures: [Figure] {
        let log = log.statistics
        var figures: [Figure] = []
        func gauge(
            _ name: String,
            _ help: String,
            _ path: String?,
            _ value: Int,
            _ sum: Figure.Sum = .added
        ) {
            figures.append(
                Figure(
                    family: "holdfast_\(name)",
                    kind: .gauge,
                    help: help,
                    path: path,
                    sum: sum,
                    value: Int64(value)
                )
            )
        }
        func counter(_ name: String, _ help: String, _ path: String?, _ value: some BinaryInteger) {
            figures.append(
                Figure(
                    family: "holdfast_\(name)_total",
                    kind: .counter,
                    help: help,
                    path: path,
                    value: Int64(value)
                )
            )
        }
        /// One sample of a family with a label.
        func labelled(
            _ name: String,
            _ help: String,
            _ label: String,
            _ value: String,
            _ path: String?,
            _ count: UInt64
        ) {
            figures.append(
                Figure(
                    family: "holdfast_\(name)_total",
                    kind: .counter,
                    help: help,
                    sample: "holdfast_\(name)_total{\(label)=\"\(value)\"}",
                    path: path,
                    value: Int64(count)
                )
            )
        }

        gauge("held_requests", "Requests held now.", "held", held.count + replays.count)
        gauge("interests", "Distinct things held requests wait for.", "interests", audience.count)
        gauge("pending_requests", "Requests that wait for the log.", "pending", pending.count)
        gauge(
            "connections",
            "FastCGI connections open now.",
            "connections",
            webConnections
        )
        gauge("bus_clients", "Clients of the bus socket.", "bus_clients", busPeers.count)
        gauge(
            "unsent_bytes",
            "Memory taken by what peers have not read yet.",
            "unsent_bytes",
            unsent.bytes
        )
        gauge(
            "unfinished_bytes",
            "Memory of requests that have not arrived completely.",
            "unfinished_bytes",
            unfinishedBytes
        )
        gauge(
            "members",
            "Members on all channels with presence.",
            "members",
            presence.counted,
            .largest
        )
        counter("requests", "Requests decoded.", "requests", metrics.requests)
        counter("holds", "Requests that were held.", "holds", metrics.holds)
        counter(
            "deliveries",
            "Held requests given messages.",
            "deliveries",
            metrics.deliveries
        )
        counter("connections", "FastCGI connections accepted.", nil, metrics.accepted)
        for status in 2...5 {
            labelled(
                "answers",
                "Answers by class of status.",
                "class",
                "\(status)xx",
                nil,
                metrics.answers[status]
            )
        }
        for ending in Ending.allCases {
            labelled(
                "held_ended",
                "Held requests by how they ended.",
                "reason",
                ending.label,
                "ended.\(ending.label)",
                metrics[ending]
            )
        }
        for bound in Bound.allCases {
            labelled(
                "bounds_reached",
                "Bounds of the ini file that were reached.",
                "bound",
                bound.label,
                "bounds_reached.\(bound.label)",
                metrics[bound]
            )
        }
        counter("bus_commands", "Commands on the bus socket.", "bus.commands", metrics.busCommands)
        counter(
            "bus_refusals",
            "Commands that were refused.",
            "bus.refusals",
            metrics.busRefusals
        )
        counter("pipe_lines", "Lines of named pipes published.", "pipes.lines", metrics.pipeLines)
        counter("pipe_refusals", "Lines that were refused.", "pipes.refusals", metrics.pipeRefusals)
        counter(
            "passed_over",
            "Messages between processes that were of somebody else, or malformed.",
            "passed_over",
            metrics.passedOver
        )
        gauge(
            "log_available",
            "1 while the log can be written.",
            nil,
            tail != nil && logTrouble == nil ? 1 : 0,
            .smallest
        )
        gauge("log_head", "Newest offset.", "log.head", Int(tail?.head.value ?? 0), .largest)
        gauge(
            "log_wal_bytes",
            "Size of the write-ahead log.",
            "log.wal_bytes",
            log.walBytes,
            .largest
        )
        gauge("channels", "Channels remembered.", "log.channels", log.channels, .largest)
        gauge("messages_kept", "Messages in the log.", "log.kept", log.messagesKept, .largest)
        counter("messages", "Messages committed.", "log.messages", log.messagesAppended)
        counter("message_bytes", "Bytes of their bodies.", "log.bytes", log.bytesAppended)
        counter("commits", "Commits.", "log.commits", log.commits)
        counter("trimmed", "Messages trimmed.", "log.trimmed", log.messagesTrimmed)
        counter("checkpoints", "Checkpoints of the log.", nil, log.checkpoints)
        counter("log_full", "Commits that met a full disk or log.", "log.full", log.diskFull)
        counter("history_reads", "Polls that the disk answered.", nil, log.historyReads)
        counter(
            "log_lines_lost",
            "Lines for standard error that could not be written.",
            "lines_lost",
            linesLost()
        )
        counter("refused_requests", "Requests libfcgi refused.", nil, codec.refusals)
        figures += latencyFigures
        return figures
    }

    private var latencyFigures: [Figure] {
        let name = "holdfast_delivery_seconds"
        func figure(_ suffix: String, _ value: UInt64, divisor: Int64 = 1) -> Figure {
            Figure(
                family: name,
                kind: .histogram,
                help: "From commit until the answers were sent.",
                sample: name + suffix,
                divisor: divisor,
                value: Int64(value)
            )
        }
        var total: UInt64 = 0
        var figures: [Figure] = []
        for (bound, count) in zip(Histogram.bounds, metrics.latency.counts) {
            total += count
            figures.append(figure("_bucket{le=\"\(Double(bound) / 1e6)\"}", total))
        }
        figures.append(figure("_bucket{le=\"+Inf\"}", metrics.latency.count))
        figures.append(figure("_sum", metrics.latency.sumMicroseconds, divisor: 1_000_000))
        figures.append(figure("_count", metrics.latency.count))
        return figures
    }
}
