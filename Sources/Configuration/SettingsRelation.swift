/// One size that must not be smaller than another (times a factor), since the two would contradict each other.
struct SettingsRelation: Sendable {
    /// A key of the table with the amount it sets.
    struct Amount: Sendable {
        let section: String
        let key: String
        let bytes: @Sendable (Settings) -> Int64
    }

    let large: Amount
    let factor: Int64
    let small: Amount
    let because: String

    func holds(in settings: Settings) -> Bool {
        let (least, overflow) = small.bytes(settings).multipliedReportingOverflow(by: factor)
        return !overflow && large.bytes(settings) >= least
    }

    static let all = [
        SettingsRelation(
            large: memoryBytes,
            factor: 1,
            small: messageBytes,
            because: "the newest message must fit in memory"
        ),
        SettingsRelation(
            large: maxBytes,
            factor: 4,
            small: messageBytes,
            because: "the log must hold more than one message"
        ),
        SettingsRelation(
            large: queueBytes,
            factor: 1,
            small: messageBytes,
            because: "a message must fit in the queue"
        ),
        // Base64 adds a third, and each message of a JSON answer has an envelope.
        SettingsRelation(
            large: unsentBytes,
            factor: 2,
            small: answerBytes,
            because: "an encoded answer must fit"
        ),
        SettingsRelation(
            large: unsentBytes,
            factor: 2,
            small: messageBytes,
            because: "an answer has at least one message, encoded"
        ),
        SettingsRelation(
            large: unsentTotalBytes,
            factor: 2,
            small: unsentBytes,
            because: "one peer that does not read must not end others"
        ),
    ]

    private static let memoryBytes = Amount(section: "bus", key: "memory_bytes") {
        Int64($0.bus.memoryBytes)
    }
    private static let maxBytes = Amount(section: "bus", key: "max_bytes") { $0.bus.maxBytes }
    private static let messageBytes = Amount(section: "limits", key: "message_bytes") {
        Int64($0.limits.messageBytes)
    }
    private static let queueBytes = Amount(section: "limits", key: "publish_queue_bytes") {
        Int64($0.limits.publishQueueBytes)
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
