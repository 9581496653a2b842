import Channels
import Configuration
import Identity
import Liveness

/// The parameters of a run: sizes and rules, drawn once.
struct Plan {
    let names: [ChannelName]
    let keeps: [Int]
    let settings: Settings
    let processCount: Int
    let clientCount: Int
    let connectionLimit: Int
    /// How often the log, the processes and the peers misbehave, in thousandths.
    let trouble: Int
    /// How many texts of a thousand are long: a stream then reads the log in several pieces.
    let longTexts: Int
    /// All clients use this one; nil: any.
    let frontEnd: Int?
    /// Requests that may be on a connection at a time.
    let pipelineLimit: Int
    /// How many bytes a core makes before they are taken.
    let bytesAtOnce: Int
    /// Several events may have the same time, to the nanosecond.
    let isClockCoarse: Bool
    /// The one on which all processes run, if it shares the log with others.
    let machine: MachineID?

    static let memberNames = ["ann", "bob", "cid", "dot"]
    /// Channels that clients use; their channels of presence follow.
    static let openCount = 8
    /// Opened to readers by the web server, or by a token under `key`.
    static let grantedChannel = 7
    /// The channels with presence.
    static let presenceChannels = [4, 5]
    /// The channels of the endpoint that keeps the cursor in a cookie.
    static let classicChannels = [0, 1]
    /// The channel that a reload closes and opens.
    static let closableChannel = 6

    init(_ chance: inout Chance) {
        var names: [ChannelName] = []
        for text in ["a", "b", "c", "news/x", "room/1", "room/2", "closable", "granted"] {
            if let name = try? ChannelName(text) { names.append(name) }
        }
        names += names.compactMap(\.presence)
        self.names = names
        var keeps: [Int] = []
        longTexts = chance.happens(80) ? 500 : 20
        for _ in names {
            keeps.append(longTexts > 100 ? 100 : chance.one(of: [1, 3, 8, 20, 60]) ?? 8)
        }
        for at in Self.openCount..<names.count { keeps[at] = 1000 }
        self.keeps = keeps
        var settings = Settings()
        settings.allow = Self.rules(closed: false)
        settings.keys = [Self.key]
        settings.presence = Self.presence(&chance)
        Self.draw(&settings.hold, &chance)
        Self.draw(&settings.limits, &chance)
        settings.bus.memoryMessages = chance.one(of: [4, 16, 64, 512]) ?? 16
        settings.bus.memoryBytes = chance.one(of: [500, 5000, 1_000_000]) ?? 5000
        if chance.happens(150) { settings.log.level = .debug }
        if chance.happens(200) {
            settings.bus.engine = EngineSettings(postgresql: "")
            machine = MachineID(7)
        } else {
            machine = nil
        }
        var classic = FixedEndpoint(path: "/sub", action: .subscribe)
        classic.channels = Self.classicChannels.map { names[$0] }
        classic.cursor = .cookie
        classic.format = .bare
        classic.waitSeconds = chance.between(2, 10)
        classic.onTimeout =
            chance.one(of: [.answer, .noContent, .unavailable, .close, .close]) ?? .close
        settings.endpoints = [classic, FixedEndpoint(path: "/polling", action: .held)]
        self.settings = settings
        processCount = chance.between(1, 3)
        clientCount = chance.between(4, 28)
        connectionLimit = chance.one(of: [16, 40, 200]) ?? 40
        trouble = chance.one(of: [0, 2, 6, 15]) ?? 5
        frontEnd = chance.happens(120) ? chance.one(of: [3, 4, 4, 7]) : nil
        pipelineLimit = frontEnd == nil ? 4 : 24
        isClockCoarse = chance.happens(200)
        bytesAtOnce = chance.one(of: [4_000_000, 4_000_000, 300, 4000]) ?? 4000
    }

    static func presence(_ chance: inout Chance) -> [PresenceRule] {
        let patterns = ["room/1", "room/*"].compactMap { ChannelPattern($0) }
        return patterns.dropFirst(chance.happens(100) ? 2 : 0).map { pattern in
            PresenceRule(
                pattern: pattern,
                graceSeconds: chance.between(1, 8),
                members: chance.between(1, 6)
            )
        }
    }

    static func draw(_ hold: inout HoldSettings, _ chance: inout Chance) {
        hold.maxWaitSeconds = chance.between(2, 30)
        hold.jitterPercent = chance.one(of: [0, 10, 30]) ?? 10
        hold.earlyHeaders = chance.happens(200)
        hold.probe = chance.one(of: [.off, .auto, .auto, .always]) ?? .auto
        hold.probeSeconds = chance.between(1, 10)
        hold.probeBytes = chance.between(1, 20)
        hold.heartbeatSeconds = chance.between(2, 20)
        hold.streamSeconds = chance.between(20, 300)
        hold.grantedSeconds = chance.between(10, 60)
        hold.cacheHistorySeconds = chance.one(of: [0, 60]) ?? 0
    }

    static func draw(_ limits: inout LimitSettings, _ chance: inout Chance) {
        limits.heldRequests = chance.one(of: [3, 8, 20, 60]) ?? 20
        limits.heldPerSubscriber = chance.one(of: [1, 1, 2, 3]) ?? 1
        limits.heldPerAddress = chance.one(of: [nil, nil, 2, 5]) ?? nil
        limits.answerMessages = chance.one(of: [2, 5, 20, 1000]) ?? 20
        limits.answerBytes = chance.one(of: [100, 1000, 100_000]) ?? 1000
        limits.publishQueueMessages = chance.one(of: [2, 10, 100]) ?? 10
        limits.publishQueueBytes = chance.one(of: [200, 3000, 1_000_000]) ?? 3000
        limits.unsentBytes = chance.one(of: [2000, 8000, 100_000]) ?? 8000
    }

    static let key: KeySettings = {
        var key = KeySettings(name: "test")
        key.material = [UInt8](repeating: 7, count: KeySettings.secretByteLimits.lowerBound)
        return key
    }()

    /// As a valid token grants it.
    static func visa(expires: Int64) -> Visa {
        Visa(
            key: key.fingerprint,
            keyName: key.name,
            name: nil,
            read: ChannelPattern("granted").map { [$0] } ?? [],
            publish: [],
            expires: expires
        )
    }

    static func rules(closed: Bool) -> [AllowRule] {
        var rules: [AllowRule] = []
        func add(_ pattern: String, _ read: AllowRule.Who, _ publish: AllowRule.Who) {
            guard let pattern = ChannelPattern(pattern) else { return }
            rules.append(AllowRule(pattern: pattern, read: read, publish: publish))
        }
        add("granted", .local([], keys: [key.name]), .everyone)
        add("closable", closed ? .nobody : .everyone, .everyone)
        add("**", .everyone, .everyone)
        return rules
    }
}
