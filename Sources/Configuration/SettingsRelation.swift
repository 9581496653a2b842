internal import Channels

/// An amount that must not be smaller than another one (times a factor), because the two would contradict each other.
struct SettingsRelation: Sendable {
    /// A key of the table, with the amount that it sets.
    struct Amount: Sendable {
        let section: String
        let key: String
        var isCount = false
        let value: @Sendable (Settings) -> Int64

        /// The amount as written in the ini file.
        func text(_ settings: Settings) -> String {
            isCount
                ? "\(value(settings))" : ValueForm<Int64>.size(0...(.max)).write(value(settings))
        }
    }

    let large: Amount
    /// In tenths, rounded up.
    var tenths: Int64 = 10
    let small: Amount
    let because: String

    func holds(in settings: Settings) -> Bool {
        let (product, overflow) = small.value(settings).multipliedReportingOverflow(by: tenths)
        return !overflow && large.value(settings) >= product / 10 + (product % 10 > 0 ? 1 : 0)
    }

    /// The text before the name of the smaller one: `2 times `.
    var times: String {
        if tenths == 10 { return "" }
        return tenths % 10 == 0 ? "\(tenths / 10) times " : "\(tenths / 10).\(tenths % 10) times "
    }

    static let all = [
        SettingsRelation(
            large: maxConnections,
            tenths: 11,
            small: heldRequests,
            because:
                "requests that are not held, such as publishes and -/live, need connections, too"
        ),
        SettingsRelation(
            large: memoryBytes,
            small: messageBytes,
            because: "the newest message must fit in memory"
        ),
        SettingsRelation(
            large: maxBytes,
            tenths: 40,
            small: messageBytes,
            because: "the log must hold more than one message"
        ),
        SettingsRelation(
            large: queueBytes,
            small: messageBytes,
            because: "a message must fit in the queue"
        ),
        SettingsRelation(
            large: unfinishedBytes,
            tenths: 40,
            small: messageBytes,
            because: "several messages must be able to arrive at a time"
        ),
        SettingsRelation(
            large: unfinishedBytes,
            tenths: 40,
            small: batchBytes,
            because: "several batches must be able to arrive at a time"
        ),
        // Storage grows by doubling.
        SettingsRelation(
            large: unfinishedBytes,
            tenths: 20,
            small: variableBytes,
            because: "the variables of a request must be able to arrive"
        ),
        // Base64 adds a third, and each message of a JSON answer has an envelope.
        SettingsRelation(
            large: unsentBytes,
            tenths: 20,
            small: answerBytes,
            because: "an encoded answer must fit"
        ),
        SettingsRelation(
            large: unsentBytes,
            tenths: 20,
            small: messageBytes,
            because: "an answer has at least one message, encoded"
        ),
        SettingsRelation(
            large: unsentTotalBytes,
            tenths: 20,
            small: unsentBytes,
            because: "one peer that does not read must not end others"
        ),
    ]

    private static let maxConnections = Amount(
        section: "fastcgi",
        key: "max_connections",
        isCount: true
    ) {
        Int64($0.fastcgi.maxConnections)
    }
    private static let heldRequests = Amount(
        section: "limits",
        key: "held_requests",
        isCount: true
    ) {
        Int64($0.limits.heldRequests)
    }
    private static let memoryBytes = Amount(section: "bus", key: "memory_bytes") {
        Int64($0.bus.memoryBytes)
    }
    private static let maxBytes = Amount(section: "bus", key: "max_bytes") { $0.bus.maxBytes }
    private static let messageBytes = Amount(section: "limits", key: "message_bytes") {
        Int64($0.limits.messageBytes)
    }
    private static let batchBytes = Amount(section: "limits", key: "batch_bytes") {
        Int64($0.limits.batchBytes)
    }
    private static let queueBytes = Amount(section: "limits", key: "publish_queue_bytes") {
        Int64($0.limits.publishQueueBytes)
    }
    private static let unfinishedBytes = Amount(section: "limits", key: "unfinished_bytes") {
        Int64($0.limits.unfinishedBytes)
    }
    private static let variableBytes = Amount(section: "limits", key: "request_variable_bytes") {
        Int64($0.limits.requestVariableBytes)
    }
    private static let unsentBytes = Amount(section: "limits", key: "unsent_bytes") {
        Int64($0.limits.unsentBytes)
    }
    private static let unsentTotalBytes = Amount(section: "limits", key: "unsent_bytes_total") {
        Int64($0.limits.unsentTotalBytes)
    }
    private static let answerBytes = Amount(section: "limits", key: "answer_bytes") {
        Int64($0.limits.answerBytes)
    }
}
