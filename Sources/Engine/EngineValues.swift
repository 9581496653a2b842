/// The bus, and the machine that asks.
package struct EngineIdentity: Equatable, Sendable {
    package var schema: String
    package var site: String
    /// This machine's random id.
    package var machine: String
    /// How long the engine is to keep groups for machines that are away.
    package var keepMilliseconds: Int64
    /// About how many bytes of them at most.
    package var keepBytes: Int64

    package init(
        schema: String,
        site: String,
        machine: String,
        keepMilliseconds: Int64,
        keepBytes: Int64 = 4 << 30
    ) {
        self.schema = schema
        self.site = site
        self.machine = machine
        self.keepMilliseconds = keepMilliseconds
        self.keepBytes = keepBytes
    }
}

/// A part of a group: an append with an idempotency key, or a run of appends without.
package struct EnginePart: Equatable, Sendable {
    /// Its records.
    package var body: [UInt8] = []
    /// How many offsets it takes.
    package var count = 0
    /// How many of these come before its first message.
    package var skipped = 0
    package var scope: [UInt8]?
    package var digest: [UInt8]?

    package init() {}
}

/// The outcome of an append.
package struct EngineReceipt: Equatable, Sendable {
    /// The newest entry of the log then.
    package var position: EnginePosition
    package var base: Int64
    package var count: Int64
    /// The offset of each part's first message; negative: its key was used for the same request at that offset; 0: for
    /// another request.
    package var firsts: [Int64]
    /// The name of the epoch in which it was appended.
    package var epoch: String
    /// When it was appended, in milliseconds since 1970.
    package var at: Int64
}

/// The end of the engine's log.
package struct EngineHead: Equatable, Sendable {
    package var seq: Int64
    package var offset: Int64
    package var epoch: String
    /// How old its newest entry is.
    package var ageMilliseconds: Int64
    /// SQL published something that is not in the log yet.
    package var hasOutbox: Bool
}

/// What the engine knows of a machine.
package struct EngineRoll: Equatable, Sendable {
    package var machine: String
    /// When it last reported; to be compared with the value before, not with a clock.
    package var seen: Int64
    /// Up to this offset, its log may lack what others have.
    package var lacking: Int64

    package init(machine: String, seen: Int64, lacking: Int64) {
        (self.machine, self.seen, self.lacking) = (machine, seen, lacking)
    }
}
