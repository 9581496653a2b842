package import Channels
package import Identity
package import Liveness

/// Everything that the ini file can set, with its defaults. conf/holdfast.ini is the manual of each key.
///
/// Rules with channel patterns are sorted by specificity, whatever their order in the file: for each key, the first
/// rule whose pattern matches and that sets the key decides.
package struct Settings: Equatable, Sendable {
    /// The file that they were read from, for messages.
    package var file: String?
    package var fastcgi = FastCGISettings()
    package var bus = BusSettings()
    /// With distinct paths.
    package var pipes: [PipeSettings] = []
    package var retain: [RetainRule] = [] {
        didSet { retain.sort { $0.pattern.isMoreSpecific(than: $1.pattern) } }
    }
    package var allow: [AllowRule] = [] {
        didSet { allow.sort { $0.pattern.isMoreSpecific(than: $1.pattern) } }
    }
    /// With distinct names.
    package var keys: [KeySettings] = []
    /// With distinct publishers; `*` applies to each publisher without a rule of its own.
    package var quotas: [QuotaRule] = []
    package var hold = HoldSettings()
    /// Presence is reported on the channels that a rule matches.
    package var presence: [PresenceRule] = [] {
        didSet { presence.sort { $0.pattern.isMoreSpecific(than: $1.pattern) } }
    }
    package var limits = LimitSettings()
    package var cors = CORSSettings()
    /// With distinct paths.
    package var endpoints: [FixedEndpoint] = []
    package var log = LogSettings()

    package init() {}
}

/// `[fastcgi]`: where web servers reach the responder.
package struct FastCGISettings: Equatable, Sendable {
    package enum Listen: Equatable, Sendable {
        case unix(path: String)
        /// A numeric IPv4 or IPv6 address, without brackets.
        case tcp(address: String, port: UInt16)
        /// The socket that a process manager passed on descriptor 0.
        case inherited
    }

    /// Whether the FastCGI parameter REMOTE_USER names the user.
    package enum RemoteUser: String, Equatable, Sendable, CaseIterable {
        case ignored
        /// It names the user, as HOLDFAST_USER does: the web server sets it only after verifying the user.
        case believed
    }

    package var listen = Listen.unix(path: "/run/holdfast/holdfast.sock")
    /// Permission bits of a Unix socket, at most 0o660.
    package var mode: UInt32 = 0o660
    /// Group of a Unix socket; nil: the process's own.
    package var group: String?
    /// The path at which the web server mounts the responder, unless its parameter HOLDFAST_BASE gives it. Begins and
    /// ends with `/`.
    package var base = "/push/"
    package var remoteUser = RemoteUser.ignored
    package var maxConnections = 24_000
    /// Seconds that SIGTERM may take.
    package var stopSeconds = 10

    package init() {}
}

/// `[allow PATTERN]`: who may read and publish without a grant of the web server. Nil: not set by this rule.
package struct AllowRule: Equatable, Sendable {
    package enum Who: Equatable, Sendable {
        case everyone, nobody
        /// These: users and groups on the bus socket alone, where the kernel names the clients; and over HTTP whoever
        /// shows what one of these keys has signed.
        case local([LocalPrincipal], keys: [String] = [])
    }

    package var pattern: ChannelPattern
    package var read: Who?
    package var publish: Who?
    /// The line of its section in the file.
    package var line: Int?

    package init(pattern: ChannelPattern, read: Who? = nil, publish: Who? = nil) {
        self.pattern = pattern
        self.read = read
        self.publish = publish
    }

    /// Rules are equal whatever their line.
    package static func == (one: AllowRule, other: AllowRule) -> Bool {
        one.pattern == other.pattern && one.read == other.read && one.publish == other.publish
    }
}

/// A user or a group of this machine, by name or number.
package enum LocalPrincipal: Hashable, Sendable, CustomStringConvertible {
    case user(String), group(String)

    package var description: String {
        switch self {
        case .user(let name): "user:\(name)"
        case .group(let name): "group:\(name)"
        }
    }
}

/// `[quota PUBLISHER]`: how much one publisher may append in a period.
package struct QuotaRule: Equatable, Sendable {
    package var publisher: String
    package var limits = QuotaLimits()

    package init(publisher: String) { self.publisher = publisher }
}

/// `[hold]`
package struct HoldSettings: Equatable, Sendable {
    /// Seconds; a client's larger `wait` is reduced to it.
    package var maxWaitSeconds = 25
    /// Each hold ends earlier by a random part of up to this percentage.
    package var jitterPercent = 10
    /// Whether a JSON long-poll sends its headers at once.
    package var earlyHeaders = false
    /// Which JSON long-polls are probed with blanks.
    package var probe = ProbePolicy.Mode.auto
    package var probeSeconds = 10
    /// The number of blanks in a probe.
    package var probeBytes = 1
    /// The interval between a stream's signs of life, and its longest life.
    package var heartbeatSeconds = 15
    package var streamSeconds = 1800
    /// How long a grant of the web server is valid for a held request.
    package var grantedSeconds = 300
    package var cacheHistorySeconds = 0

    package init() {}
}

/// `[presence PATTERN]`: the presence on a channel. Nil: not set by this rule.
package struct PresenceRule: Equatable, Sendable {
    package var pattern: ChannelPattern
    package var graceSeconds: Int?
    package var members: Int?

    package init(pattern: ChannelPattern, graceSeconds: Int? = nil, members: Int? = nil) {
        self.pattern = pattern
        self.graceSeconds = graceSeconds
        self.members = members
    }
}

/// `[limits]`
package struct LimitSettings: Equatable, Sendable {
    package var messageBytes = 64 * 1024
    /// The bytes and the number of the messages in a batch; a single message may always have `messageBytes`.
    package var batchBytes = 1024 * 1024
    package var batchMessages = 1000
    /// FastCGI variables of one request.
    package var requestVariableBytes = 128 * 1024
    package var channelsPerRequest = 64
    /// Messages in one answer if the client sets no `limit`, and the largest allowed `limit`.
    package var answerMessages = 1000
    /// Bytes of bodies in one answer; at least one message is always sent.
    package var answerBytes = 1024 * 1024
    package var heldRequests = 20_000
    /// With one subscriber id.
    package var heldPerSubscriber = 1
    /// From one address, as given by the web server; nil: any number.
    package var heldPerAddress: Int?
    /// Clients of the bus socket.
    package var busClients = 256
    /// Channels the log remembers.
    package var channels = 100_000
    /// Requests to publish that wait for the log, in messages and in bytes of their bodies.
    package var publishQueueMessages = 10_000
    package var publishQueueBytes = 64 * 1024 * 1024
    /// Bytes of answers that a peer has not read, those of all peers together, and for how long.
    package var unsentBytes = 4 * 1024 * 1024
    package var unsentTotalBytes = 64 * 1024 * 1024
    package var unsentSeconds = 30
    /// Memory of all requests that have not arrived completely, and how long each may take.
    package var unfinishedBytes = 64 * 1024 * 1024
    package var requestSeconds = 30
    /// Memory of verdicts on tokens.
    package var tokenMemoryBytes = 32 * 1024 * 1024

    package init() {}
}

/// `[cors]`
package struct CORSSettings: Equatable, Sendable {
    package enum Origins: Equatable, Sendable {
        /// Exactly these, such as `https://www.example.org:8443`; with credentials.
        case listed([String])
        /// `*`: any, without credentials.
        case any
    }

    package var origins = Origins.listed([])
    /// Seconds for which a browser may remember the answer to a preflight.
    package var maxAgeSeconds = 600

    package init() {}
}

/// `[endpoint PATH]`
package struct FixedEndpoint: Equatable, Sendable {
    package enum Action: String, Equatable, Sendable, CaseIterable {
        case subscribe, publish, held
    }
    package enum CursorKeeping: String, Equatable, Sendable, CaseIterable {
        case query, cookie
    }
    package enum Format: String, Equatable, Sendable, CaseIterable {
        case json, bare
    }
    package enum OnTimeout: String, Equatable, Sendable, CaseIterable {
        /// The ordinary empty answer of the format.
        case answer
        case noContent = "204"
        /// An error, with the cursor that an answer would have.
        case unavailable = "503"
        /// The connection is closed without an answer.
        case close
    }

    /// The full path, such as `/sub`.
    package var path: String
    package var action: Action
    package var channels: [ChannelName] = []
    package var cursor = CursorKeeping.query
    package var format = Format.json
    /// Seconds to hold if the request does not say; 1 to 3600. Nil: as the request says.
    package var waitSeconds: Int?
    package var onTimeout = OnTimeout.answer

    package init(path: String, action: Action) {
        self.path = path
        self.action = action
    }
}

/// `[log]`
package struct LogSettings: Equatable, Sendable {
    package enum Level: String, Equatable, Sendable, CaseIterable {
        case debug, info, notice, warning, error
    }

    package enum Format: String, Equatable, Sendable, CaseIterable {
        case text, logfmt, json
    }

    package var level = Level.info
    package var format = Format.text

    package init() {}
}

extension Settings {
    /// The outcome of the `[retain]` rules for a channel.
    package func retention(of channel: ChannelName) -> Retention {
        if channel.isOwn { return .ofOwnChannels }
        // Asked at every commit, so it makes no arrays. The first rule that sets something holds.
        var (count, age, bytes): (Int?, Int?, Int?)
        for rule in retain where rule.pattern.matches(channel) {
            count = count ?? rule.count
            age = age ?? rule.ageSeconds
            bytes = bytes ?? rule.bytes
        }
        var outcome = Retention()
        if let count { outcome.count = count }
        if let age { outcome.ageSeconds = age }
        if let bytes { outcome.bytes = bytes }
        return outcome
    }

    /// Whether a `[presence]` rule names the channel literally instead of only matching it.
    package func namesPresence(on channel: ChannelName) -> Bool {
        presence.contains { $0.pattern.isName && $0.pattern.matches(channel) }
    }

    /// The outcome of the `[presence]` rules for a channel; nil: presence is off.
    package func presence(on channel: ChannelName) -> PresenceLimits? {
        guard !presence.isEmpty, !channel.isOwn else { return nil }
        let rules = presence.filter { $0.pattern.matches(channel) }
        guard !rules.isEmpty else { return nil }
        var limits = PresenceLimits()
        if let grace = rules.lazy.compactMap(\.graceSeconds).first {
            limits.graceMilliseconds = Int64(grace) * 1000
        }
        if let members = rules.lazy.compactMap(\.members).first { limits.members = members }
        return limits
    }

    /// The quota of this publisher, or nil if there is none.
    package func quota(of publisher: String) -> QuotaLimits? {
        ownQuota(of: publisher) ?? ownQuota(of: "*")
    }

    /// The quota set by a section of this publisher's own.
    package func ownQuota(of publisher: String) -> QuotaLimits? {
        quotas.first { ExactText($0.publisher) == ExactText(publisher) }?.limits
    }
}
