internal import BrowserClient
internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Glibc
internal import Reactor

/// What the responder says about itself: `-/ready`, `-/metrics`, `-/status`, and the pages it carries.
extension Responder {
    func page(_ request: PageRequest) -> Answer {
        guard let page = Pages.page(named: request.name) else { return request.notFound() }
        return request.answer(body: page.bytes, contentType: page.contentType, etag: page.etag)
    }

    func readiness(_ shape: Shape) -> Answer {
        if isStopping { return shape.notReady("the service is stopping") }
        guard tail != nil, logTrouble == nil else {
            return shape.notReady("the log is not available at the moment")
        }
        return shape.plain("text/plain; charset=utf-8", "ready\n")
    }

    func metricsPage(_ shape: Shape) -> Answer {
        var page = PrometheusText()
        let log = log.statistics
        page.gauge("holdfast_held_requests", "Requests held now.", held.count)
        page.family("holdfast_held_ended_total", "counter", "Held requests by how they ended.")
        for ending in Ending.allCases {
            page.sample("holdfast_held_ended_total{reason=\"\(ending.label)\"}", metrics[ending])
        }
        page.counter("holdfast_holds_total", "Requests that were held.", metrics.holds)
        page.gauge("holdfast_interests", "Distinct things held requests wait for.", audience.count)
        page.gauge("holdfast_pending_requests", "Requests that wait for the log.", pending.count)
        page.gauge("holdfast_connections", "FastCGI connections open now.", openConnections)
        page.counter(
            "holdfast_connections_total",
            "FastCGI connections accepted.",
            metrics.accepted
        )
        page.counter("holdfast_requests_total", "Requests decoded.", metrics.requests)
        page.family("holdfast_answers_total", "counter", "Answers by class of status.")
        for status in 2...5 {
            page.sample("holdfast_answers_total{class=\"\(status)xx\"}", metrics.answers[status])
        }
        page.counter(
            "holdfast_deliveries_total",
            "Held requests answered with messages.",
            metrics.deliveries
        )
        page.counter(
            "holdfast_messages_total",
            "Messages this process committed.",
            log.messagesAppended
        )
        page.counter(
            "holdfast_message_bytes_total",
            "Bytes of their bodies.",
            log.bytesAppended
        )
        page.counter("holdfast_commits_total", "Commits of this process.", log.commits)
        page.counter(
            "holdfast_trimmed_total",
            "Messages trimmed by this process.",
            log.messagesTrimmed
        )
        page.counter("holdfast_checkpoints_total", "Checkpoints of the log.", log.checkpoints)
        page.counter(
            "holdfast_log_full_total",
            "Commits that met a full disk or log.",
            log.diskFull
        )
        page.counter(
            "holdfast_history_reads_total",
            "Polls that the disk answered.",
            log.historyReads
        )
        page.gauge(
            "holdfast_log_available",
            "1 while the log can be written.",
            tail != nil && logTrouble == nil ? 1 : 0
        )
        page.gauge("holdfast_log_head", "Newest offset.", Int(tail?.head.value ?? 0))
        page.counter("holdfast_refused_requests_total", "Requests libfcgi refused.", codec.refusals)
        page.family(
            "holdfast_bounds_reached_total",
            "counter",
            "Bounds of the ini file that were reached."
        )
        for bound in Bound.allCases {
            page.sample("holdfast_bounds_reached_total{bound=\"\(bound.label)\"}", metrics[bound])
        }
        page.histogram(
            "holdfast_delivery_seconds",
            "From commit until the answers were sent.",
            metrics.latency
        )
        return shape.plain("text/plain; version=0.0.4; charset=utf-8", page.text)
    }

    func statusPage(_ shape: Shape) -> Answer {
        let log = log.statistics
        var json = "{\"version\":\"\(Version.current)\",\"pid\":\(getpid())"
        json += ",\"uptime_seconds\":\((now - startedAt) / 1000)"
        json += ",\"ready\":\(tail != nil && logTrouble == nil && !isStopping)"
        json +=
            ",\"held\":\(held.count),\"connections\":\(openConnections),\"interests\":\(audience.count)"
        json += ",\"pending\":\(pending.count),\"requests\":\(metrics.requests)"
        json += ",\"deliveries\":\(metrics.deliveries)"
        let endings = Ending.allCases.map { "\"\($0.label)\":\(metrics[$0])" }
        json += ",\"ended\":{\(endings.joined(separator: ","))}"
        let bounds = Bound.allCases.map { "\"\($0.label)\":\(metrics[$0])" }
        json += ",\"bounds_reached\":{\(bounds.joined(separator: ","))}"
        json += ",\"log\":{\"epoch\":"
        json += tail.map { "\"\($0.epochs.current)\",\"head\":\($0.head)" } ?? "null,\"head\":null"
        json += ",\"messages\":\(log.messagesAppended),\"commits\":\(log.commits)"
        json += ",\"trimmed\":\(log.messagesTrimmed),\"wal_bytes\":\(log.walBytes)}"
        json += "}\n"
        return shape.plain("application/json", json)
    }
}

/// Prometheus' text exposition format, version 0.0.4.
struct PrometheusText {
    private(set) var text = ""

    mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ name: String, _ value: some CustomStringConvertible) {
        text += "\(name) \(value)\n"
    }

    mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        family(name, "gauge", help)
        sample(name, value)
    }

    mutating func counter(_ name: String, _ help: String, _ value: some BinaryInteger) {
        family(name, "counter", help)
        sample(name, "\(value)")
    }

    mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        family(name, "histogram", help)
        var total: UInt64 = 0
        for (bound, count) in zip(Histogram.bounds, histogram.counts) {
            total += count
            sample("\(name)_bucket{le=\"\(Double(bound) / 1e6)\"}", total)
        }
        sample("\(name)_bucket{le=\"+Inf\"}", histogram.count)
        sample("\(name)_sum", Double(histogram.sumMicroseconds) / 1e6)
        sample("\(name)_count", histogram.count)
    }
}
