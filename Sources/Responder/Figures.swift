internal import Bus
internal import Core
internal import Endpoint
internal import Identity
internal import Text

/// The numbers of this process at one moment, from which its figures are computed.
struct Readings {
    var core = CoreCounters()
    var gauges = Gauges()
    var shell = ShellCounters()
    var log = LogStatistics()
    /// Nil if this machine is a bus of its own.
    var engine: EngineFigures?
    var tokens = TokenMemory.Counters()
    var links = LinkTally.Counters()
    var linesLost = 0
    var codecRefusals = 0
    var process = ProcessReadings()

    /// The current sizes.
    struct Gauges {
        var held = 0
        var interests = 0
        var pending = 0
        var connections = 0
        var busClients = 0
        var unsentBytes = 0
        var unfinishedBytes = 0
        var members = 0
        var rememberedTokens = 0
        var isLogAvailable = false
        var head: Int64 = 0
    }
}

/// The counts of the shell since the start of the process.
struct ShellCounters {
    var accepted: UInt64 = 0
    var pipeLines: UInt64 = 0
    var pipeRefusals: UInt64 = 0
    /// Datagrams that were not sent by a process of this bus and release.
    var passedOver: UInt64 = 0
    /// From the commit until the answers were sent.
    var latency = Histogram()
    private var bounds = [UInt64](repeating: 0, count: Bound.allCases.count)

    subscript(bound: Bound) -> UInt64 {
        get { bounds[bound.rawValue] }
        set { bounds[bound.rawValue] = newValue }
    }
}

/// One figure of a process: its names, and where its value comes from.
struct Figure: Sendable {
    enum Kind: String { case gauge, counter, histogram }
    /// Of a family whose name ends with it.
    enum Unit: String, CaseIterable { case bytes, seconds }
    /// How the figures of several processes are combined.
    enum Sum { case added, largest, smallest }

    /// Of Prometheus' family: without `_total`, which stands in a counter's sample.
    let family: String
    let kind: Kind
    let help: String
    /// The sample's name with its labels.
    let sample: String
    /// Its path in the status object, such as `ended.released`; nil if it is not there.
    let path: String?
    let sum: Sum
    /// What the value is divided by in Prometheus' text.
    let divisor: Int64
    /// A negative value is not known, and left out.
    let read: @Sendable (Readings) -> Int64

    /// Whether the next process continues this count: figures of the process itself begin anew.
    var isCarried: Bool { kind != .gauge && family.hasPrefix("holdfast_") }

    var unit: Unit? { Unit.allCases.first { family.hasSuffix("_\($0)") } }

    fileprivate static func gauge(
        _ name: String,
        _ help: String,
        _ path: String?,
        _ sum: Sum = .added,
        read: @escaping @Sendable (Readings) -> Int
    ) -> Figure {
        Figure(
            family: "holdfast_\(name)",
            kind: .gauge,
            help: help,
            sample: "holdfast_\(name)",
            path: path,
            sum: sum,
            divisor: 1,
            read: { Int64(read($0)) }
        )
    }

    /// - Parameter label: that of one of several samples, such as `class="2xx"`.
    fileprivate static func counter<Count: BinaryInteger & SendableMetatype>(
        _ name: String,
        _ help: String,
        _ path: String?,
        label: String = "",
        read: @escaping @Sendable (Readings) -> Count
    ) -> Figure {
        Figure(
            family: "holdfast_\(name)",
            kind: .counter,
            help: help,
            sample: "holdfast_\(name)_total" + (label.isEmpty ? "" : "{\(label)}"),
            path: path,
            sum: .added,
            divisor: 1,
            read: { Int64(truncatingIfNeeded: read($0)) }
        )
    }

    fileprivate static func latency(
        _ suffix: String,
        divisor: Int64 = 1,
        read: @escaping @Sendable (Histogram) -> UInt64
    ) -> Figure {
        Figure(
            family: "holdfast_delivery_seconds",
            kind: .histogram,
            help: "From commit until the answers were sent.",
            sample: "holdfast_delivery_seconds" + suffix,
            path: nil,
            sum: .added,
            divisor: divisor,
            read: { Int64(truncatingIfNeeded: read($0.shell.latency)) }
        )
    }
}

extension Figure {
    /// All figures, in a fixed order. A process sends their values alone.
    static let all: [Figure] =
        now + requests + services + log + engine + other + histogram
        + process

    /// A hash of the names, so that figures of another release are not mistaken.
    static let fingerprint: Int64 = {
        var hash = FNV1a<UInt64>()
        for figure in all { hash.combine(figure.sample.utf8Span.span) }
        return Int64(bitPattern: hash.value)
    }()

    private static let now: [Figure] = [
        gauge("held_requests", "Requests held now.", "held") { $0.gauges.held },
        gauge("interests", "Distinct requests among those that are held.", "interests") {
            $0.gauges.interests
        },
        gauge("pending_requests", "Requests that wait for the log.", "pending") {
            $0.gauges.pending
        },
        gauge("connections", "FastCGI connections open now.", "connections") {
            $0.gauges.connections
        },
        gauge("bus_clients", "Clients of the bus socket.", "bus_clients") { $0.gauges.busClients },
        gauge("unsent_bytes", "Memory taken by what peers have not read yet.", "unsent_bytes") {
            $0.gauges.unsentBytes
        },
        gauge(
            "unfinished_bytes",
            "Memory of requests that are incomplete.",
            "unfinished_bytes"
        ) { $0.gauges.unfinishedBytes },
        gauge("members", "Members on all channels with presence.", "members", .largest) {
            $0.gauges.members
        },
        gauge(
            "remembered_tokens",
            "Tokens whose verdict is remembered, which cost no signature.",
            "remembered_tokens"
        ) { $0.gauges.rememberedTokens },
    ]

    private static let requests: [Figure] =
        [
            counter("requests", "Requests decoded.", "requests") { $0.core.requests },
            counter("holds", "Requests that were held.", "holds") { $0.core.holds },
            counter("deliveries", "Held requests given messages.", "deliveries") {
                $0.core.deliveries
            },
            counter("accepted_connections", "FastCGI connections accepted.", nil) {
                $0.shell.accepted
            },
        ]
        + [2, 3, 4, 5, 0].map { status in
            counter(
                "answers",
                "Answers by class of status; nothing_new: waits that ended by on_timeout = 503 or close, and polls that ended "
                    + "unanswered by a newer request, leaving or a reload.",
                nil,
                label: "class=\"\(status == 0 ? "nothing_new" : "\(status)xx")\""
            ) { $0.core.answers[status] }
        }
        + Ending.allCases.map { ending in
            counter(
                "held_ended",
                "Held requests by how they ended.",
                "ended.\(ending.label)",
                label: "reason=\"\(ending.label)\""
            ) { $0.core[ending] }
        }
        + Bound.allCases.map { bound in
            counter(
                "bounds_reached",
                "Bounds of the ini file that were reached.",
                "bounds_reached.\(bound.label)",
                label: "bound=\"\(bound.label)\""
            ) { $0.core[bound] + $0.shell[bound] }
        }

    private static let services: [Figure] =
        identity + [
            counter("bus_commands", "Commands on the bus socket.", "bus.commands") {
                $0.core.busCommands
            },
            counter("bus_refusals", "Commands that were refused.", "bus.refusals") {
                $0.core.busRefusals
            },
            counter("pipe_lines", "Lines of named pipes published.", "pipes.lines") {
                $0.shell.pipeLines
            },
            counter("pipe_refusals", "Lines that were refused.", "pipes.refusals") {
                $0.shell.pipeRefusals
            },
            counter(
                "passed_over",
                "Messages between processes from another user, or malformed.",
                "passed_over"
            ) { $0.shell.passedOver },
        ]

    private static let identity: [Figure] =
        [
            counter(
                "tokens",
                "Tokens by what their verdict cost.",
                "tokens.remembered",
                label: "verdict=\"remembered\""
            ) { $0.tokens.remembered },
            counter(
                "tokens",
                "Tokens by what their verdict cost.",
                "tokens.verified",
                label: "verdict=\"verified\""
            ) { $0.tokens.verified },
            counter(
                "tokens",
                "Tokens by what their verdict cost.",
                "tokens.refused",
                label: "verdict=\"refused\""
            ) { $0.tokens.refused },
            counter(
                "links",
                "Signed links by their verdict.",
                "links.verified",
                label: "verdict=\"verified\""
            ) { $0.links.verified },
            counter(
                "links",
                "Signed links by their verdict.",
                "links.refused",
                label: "verdict=\"refused\""
            ) { $0.links.refusals.total },
        ]
        + Refusal.Kind.allCases.map { kind in
            counter(
                "refused_credentials",
                "Tokens and signed links that were refused, by the code of the answer.",
                "refused_credentials.\(kind.code)",
                label: "code=\"\(kind.code)\""
            ) { $0.tokens.refusals[kind] + $0.links.refusals[kind] }
        }

    private static let log: [Figure] = [
        gauge("log_available", "1 while the log can be written.", nil, .smallest) {
            $0.gauges.isLogAvailable ? 1 : 0
        },
        gauge("log_head", "Newest offset.", "log.head", .largest) { Int($0.gauges.head) },
        gauge("log_wal_bytes", "Size of the write-ahead log.", "log.wal_bytes", .largest) {
            $0.log.walBytes
        },
        gauge("channels", "Channels remembered.", "log.channels", .largest) { $0.log.channels },
        gauge("messages_kept", "Messages in the log.", "log.kept", .largest) {
            $0.log.messagesKept
        },
        counter("messages", "Messages committed.", "log.messages") { $0.log.messagesAppended },
        counter("message_bytes", "Bytes of their bodies.", "log.bytes") { $0.log.bytesAppended },
        counter("commits", "Commits.", "log.commits") { $0.log.commits },
        counter("trimmed", "Messages trimmed.", "log.trimmed") { $0.log.messagesTrimmed },
        counter("checkpoints", "Checkpoints of the log.", nil) { $0.log.checkpoints },
        counter("log_full", "Commits that met a full disk or log.", "log.full") {
            $0.log.diskFull
        },
        counter("history_reads", "Polls answered from the disk.", nil) { $0.log.historyReads },
    ]

    private static let other: [Figure] = [
        counter(
            "log_lines_lost",
            "Lines for standard error that could not be written.",
            "lines_lost"
        ) { $0.linesLost },
        counter("refused_requests", "Requests libfcgi refused.", nil) { $0.codecRefusals },
    ]

    /// By the names that all client libraries of Prometheus use; of all processes of the bus together.
    private static let process: [Figure] = [
        process("cpu_seconds", .counter, "User and system CPU time.", divisor: 1_000_000) {
            $0.cpuMicroseconds
        },
        process("resident_memory_bytes", .gauge, "Resident memory.") { $0.residentBytes },
        process("virtual_memory_bytes", .gauge, "Virtual memory.") { $0.virtualBytes },
        process("open_fds", .gauge, "Open descriptors; absent where the kernel does not count.") {
            $0.openDescriptors
        },
        process("max_fds", .gauge, "Limit of open descriptors.") { $0.descriptorLimit },
        process(
            "start_time_seconds",
            .gauge,
            "Start of the oldest process, in seconds since 1970.",
            .smallest,
            divisor: 1000
        ) { $0.startedAtMilliseconds },
    ]

    private static func process(
        _ name: String,
        _ kind: Kind,
        _ help: String,
        _ sum: Sum = .added,
        divisor: Int64 = 1,
        read: @escaping @Sendable (ProcessReadings) -> Int64
    ) -> Figure {
        Figure(
            family: "process_\(name)",
            kind: kind,
            help: help,
            sample: "process_\(name)" + (kind == .counter ? "_total" : ""),
            path: nil,
            sum: sum,
            divisor: divisor,
            read: { read($0.process) }
        )
    }

    private static let histogram: [Figure] =
        Histogram.bounds.enumerated().map { index, bound in
            latency("_bucket{le=\"\(Double(bound) / 1e6)\"}") { latency in
                latency.counts[...index].reduce(0, +)
            }
        } + [
            latency("_bucket{le=\"+Inf\"}") { $0.count },
            latency("_sum", divisor: 1_000_000) { $0.sumMicroseconds },
            latency("_count") { $0.count },
        ]
}

/// Counts of durations in fixed buckets, as Prometheus wants them.
struct Histogram: Sendable {
    /// Upper bounds in microseconds.
    static let bounds: [Int64] = [
        100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    ]
    /// One more than bounds: the last is everything above.
    private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
    private(set) var sumMicroseconds: UInt64 = 0

    var count: UInt64 { counts.reduce(0, +) }

    mutating func record(microseconds: Int64, times: Int = 1) {
        let place = Self.bounds.firstIndex { microseconds <= $0 } ?? Self.bounds.count
        counts[place] += UInt64(times)
        sumMicroseconds += UInt64(max(0, microseconds)) * UInt64(times)
    }
}
