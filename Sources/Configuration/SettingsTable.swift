package import Channels
package import Identity

/// Every section and key of the ini file, in the order of the manual, conf/holdfast.ini.
package enum SettingsTable {
    /// A section that may appear once in a file, without an argument.
    package struct Section: Sendable {
        package let name: String
        package let keys: [SettingsKey<Settings>]
    }

    package static let sections = [fastcgi, bus, hold, limits, cors, log]

    /// In the order in which a whole file is printed.
    package static let sectionNames = [
        "fastcgi", "bus", "engine", "pipe", "retain", "allow", "key", "quota", "hold", "presence",
        "limits",
        "cors", "endpoint", "log",
    ]

    private static let fastcgi = Section(
        name: "fastcgi",
        keys: [
            // The socket is created once, and no other process inherits it.
            SettingsKey("listen", \.fastcgi.listen, .listen, .restart),
            SettingsKey("mode", \.fastcgi.mode, .socketMode, .restart),
            SettingsKey(
                "group",
                \.fastcgi.group,
                ValueForm<String>.group.or("own", meaning: "the process's own"),
                .restart
            ),
            SettingsKey("base", \.fastcgi.base, .base, .reload),
            SettingsKey("remote_user", \.fastcgi.remoteUser, .choice, .reload),
            // The process's limit of descriptors is raised for it only at the start.
            SettingsKey(
                "max_connections",
                \.fastcgi.maxConnections,
                .count(1...1_000_000),
                .restart
            ),
            SettingsKey("stop_timeout", \.fastcgi.stopSeconds, .duration(1...300), .reload),
        ]
    )

    /// The log's files and threads are created with these, so all need a restart.
    private static let bus = Section(
        name: "bus",
        keys: [
            SettingsKey("directory", \.bus.directory, .directory, .restart),
            SettingsKey(
                "group",
                \.bus.group,
                ValueForm<String>.group.or("own", meaning: "the process's own"),
                .restart
            ),
            SettingsKey(
                "socket",
                \.bus.socket,
                ValueForm<String>.socketPath.or("none", meaning: "no socket"),
                .restart
            ),
            SettingsKey("socket_mode", \.bus.socketMode, .socketMode, .restart),
            SettingsKey(
                "socket_group",
                \.bus.socketGroup,
                ValueForm<String>.group.or("own", meaning: "the process's own"),
                .restart
            ),
            SettingsKey("durability", \.bus.durability, .choice, .restart),
            SettingsKey("max_bytes", \.bus.maxBytes, .size((1 << 20)...(1 << 40)), .restart),
            SettingsKey(
                "reserve_bytes",
                \.bus.reserveBytes,
                .size((1 << 16)...(1 << 30)),
                .restart
            ),
            SettingsKey("memory_messages", \.bus.memoryMessages, .count(1...10_000_000), .restart),
            SettingsKey(
                "memory_bytes",
                \.bus.memoryBytes,
                .size((1 << 10)...(16 << 30)),
                .restart
            ),
        ]
    )

    private static let hold = Section(
        name: "hold",
        keys: [
            SettingsKey("max_wait", \.hold.maxWaitSeconds, .duration(1...55), .reload),
            SettingsKey("jitter", \.hold.jitterPercent, .percent(0...50), .reload),
            SettingsKey("early_headers", \.hold.earlyHeaders, .onOff, .reload),
            SettingsKey("probe", \.hold.probe, .choice, .reload),
            SettingsKey("probe_interval", \.hold.probeSeconds, .duration(1...60), .reload),
            SettingsKey("probe_bytes", \.hold.probeBytes, .size(1...(32 << 10)), .reload),
            SettingsKey("heartbeat", \.hold.heartbeatSeconds, .duration(1...60), .reload),
            SettingsKey("stream_life", \.hold.streamSeconds, .duration(1...86_400), .reload),
            SettingsKey("granted_life", \.hold.grantedSeconds, .duration(1...86_400), .reload),
            SettingsKey(
                "cache_history",
                \.hold.cacheHistorySeconds,
                .duration(0...86_400),
                .reload
            ),
        ]
    )

    private static let limits = Section(
        name: "limits",
        keys: [
            SettingsKey("message_bytes", \.limits.messageBytes, .size(1...(16 << 20)), .reload),
            SettingsKey("batch_bytes", \.limits.batchBytes, .size((1 << 10)...(64 << 20)), .reload),
            SettingsKey("batch_messages", \.limits.batchMessages, .count(1...10_000), .reload),
            SettingsKey(
                "request_variable_bytes",
                \.limits.requestVariableBytes,
                .size((4 << 10)...(1 << 20)),
                .reload
            ),
            SettingsKey(
                "channels_per_request",
                \.limits.channelsPerRequest,
                .count(1...1000),
                .reload
            ),
            SettingsKey("answer_messages", \.limits.answerMessages, .count(1...100_000), .reload),
            SettingsKey(
                "answer_bytes",
                \.limits.answerBytes,
                .size((1 << 10)...(64 << 20)),
                .reload
            ),
            SettingsKey("held_requests", \.limits.heldRequests, .count(1...1_000_000), .reload),
            SettingsKey(
                "held_per_subscriber",
                \.limits.heldPerSubscriber,
                .count(1...1000),
                .reload
            ),
            SettingsKey(
                "held_per_address",
                \.limits.heldPerAddress,
                ValueForm<Int>.count(1...1_000_000).or("any", meaning: "any number"),
                .reload
            ),
            SettingsKey("bus_clients", \.limits.busClients, .count(1...100_000), .reload),
            // The log is opened with it.
            SettingsKey("channels", \.limits.channels, .count(1...10_000_000), .restart),
            SettingsKey(
                "publish_queue_messages",
                \.limits.publishQueueMessages,
                .count(1...1_000_000),
                .reload
            ),
            SettingsKey(
                "publish_queue_bytes",
                \.limits.publishQueueBytes,
                .size((1 << 10)...(16 << 30)),
                .reload
            ),
            SettingsKey(
                "unsent_bytes",
                \.limits.unsentBytes,
                .size((4 << 10)...(1 << 30)),
                .reload
            ),
            SettingsKey(
                "unsent_bytes_total",
                \.limits.unsentTotalBytes,
                .size((1 << 20)...(64 << 30)),
                .reload
            ),
            SettingsKey("unsent_timeout", \.limits.unsentSeconds, .duration(1...600), .reload),
            SettingsKey(
                "unfinished_bytes",
                \.limits.unfinishedBytes,
                .size((64 << 10)...(16 << 30)),
                .reload
            ),
            SettingsKey("request_timeout", \.limits.requestSeconds, .duration(1...600), .reload),
            SettingsKey(
                "token_memory",
                \.limits.tokenMemoryBytes,
                .size((64 << 10)...(1 << 30)),
                .reload
            ),
        ]
    )

    private static let cors = Section(
        name: "cors",
        keys: [
            SettingsKey("origins", \.cors.origins, .origins, .reload),
            SettingsKey("max_age", \.cors.maxAgeSeconds, .duration(0...86_400), .reload),
        ]
    )

    private static let log = Section(
        name: "log",
        keys: [
            SettingsKey("level", \.log.level, .choice, .reload),
            SettingsKey("format", \.log.format, .choice, .reload),
        ]
    )

    /// `[engine]`; the log's threads are created with it.
    package static let engine: [SettingsKey<EngineSettings>] = [
        SettingsKey("postgresql", \.postgresql, .connection, .restart),
        SettingsKey("schema", \.schema, .schema, .restart),
        SettingsKey("keep", \.keepSeconds, .duration(600...(30 * 86_400)), .restart),
        SettingsKey("keep_bytes", \.keepBytes, .size((64 << 20)...(1 << 40)), .restart),
        SettingsKey("connect_timeout", \.connectSeconds, .duration(1...60), .restart),
        SettingsKey("max_lag", \.maxLagSeconds, .duration(1...86_400), .restart),
    ]

    /// `[retain PATTERN]`.
    package static let retain: [SettingsKey<RetainRule>] = [
        SettingsKey(saidBy: \.count, "count", .count(1...100_000_000), .reload),
        SettingsKey(saidBy: \.ageSeconds, "age", .duration(1...(3650 * 86_400)), .reload),
        SettingsKey(saidBy: \.bytes, "bytes", .size((1 << 10)...(1 << 40)), .reload),
    ]

    /// `[allow PATTERN]`.
    package static let allow: [SettingsKey<AllowRule>] = [
        SettingsKey(saidBy: \.read, "read", .who, .reload),
        SettingsKey(saidBy: \.publish, "publish", .who, .reload),
    ]

    /// `[key NAME]`.
    package static let key: [SettingsKey<KeySettings>] = [
        SettingsKey("algorithm", \.algorithm, .choice, .reload),
        SettingsKey(
            "secret_file",
            \.secretFile,
            ValueForm<String>.directory.or("none", meaning: "no file"),
            .reload
        ).hidden(),
        SettingsKey(
            "secret",
            \.secret,
            ValueForm<String>.secret.or("none", meaning: "no secret here"),
            .reload
        ).hidden(),
        SettingsKey(
            "public_key_file",
            \.publicKeyFile,
            ValueForm<String>.directory.or("none", meaning: "no file"),
            .reload
        ),
        SettingsKey(
            "audience",
            \.audience,
            ValueForm<String>.audience.or("none", meaning: "no audience"),
            .reload
        ),
        SettingsKey(
            "cookie",
            \.cookie,
            ValueForm<String>.cookie.or("none", meaning: "no cookie"),
            .reload
        ),
    ]

    /// `[presence PATTERN]`.
    package static let presence: [SettingsKey<PresenceRule>] = [
        SettingsKey(saidBy: \.graceSeconds, "grace", .duration(1...600), .reload),
        SettingsKey(saidBy: \.members, "members", .count(1...50_000), .reload),
    ]

    /// `[pipe PATH]`: pipes are opened once.
    package static let pipe: [SettingsKey<PipeSettings>] = [
        SettingsKey(
            "channel",
            \.channel,
            ValueForm<ChannelName>.channel.or("by_line", meaning: "the one that each line names"),
            .restart
        ),
        SettingsKey("format", \.format, .choice, .restart),
        SettingsKey("channels", \.channels, .patterns, .restart),
        SettingsKey("mode", \.mode, .socketMode, .restart),
        SettingsKey(
            "group",
            \.group,
            ValueForm<String>.group.or("own", meaning: "the process's own"),
            .restart
        ),
    ]

    /// `[quota PUBLISHER]`.
    package static let quota: [SettingsKey<QuotaRule>] = [
        SettingsKey(
            "messages",
            \.limits.messages,
            ValueForm<Int>.count(1...1_000_000_000).or("any", meaning: "any number"),
            .reload
        ),
        SettingsKey(
            "bytes",
            \.limits.bytes,
            ValueForm<Int>.size(1...(1 << 40)).or("any", meaning: "any number"),
            .reload
        ),
        SettingsKey("per", \.limits.seconds, .duration(1...86_400), .reload),
    ]

    /// `[endpoint PATH]`; the action comes first, because the others depend on it.
    package static let endpoint: [SettingsKey<FixedEndpoint>] = [
        SettingsKey("action", \.action, .choice, .reload),
        SettingsKey("channels", \.channels, .channels, .reload),
        SettingsKey("cursor", \.cursor, .choice, .reload),
        SettingsKey("format", \.format, .choice, .reload),
        SettingsKey(
            "wait",
            \.waitSeconds,
            ValueForm<Int>.duration(1...3600).or("request", meaning: "what the request says"),
            .reload
        ),
        SettingsKey("on_timeout", \.onTimeout, .choice, .reload),
    ]

    /// The keys that have an effect for an endpoint with this action.
    package static func endpointKeys(
        of action: FixedEndpoint.Action
    ) -> [SettingsKey<FixedEndpoint>] {
        switch action {
        case .subscribe: endpoint
        case .publish: endpoint.filter { ["action", "channels"].contains($0.name) }
        case .held: endpoint.filter { $0.name == "action" }
        }
    }

    /// The names of a section's keys; empty if there is no such section.
    package static func keyNames(of section: String) -> [String] {
        switch section {
        case "engine": engine.map { $0.name }
        case "retain": retain.map { $0.name }
        case "allow": allow.map { $0.name }
        case "key": key.map { $0.name }
        case "quota": quota.map { $0.name }
        case "pipe": pipe.map { $0.name }
        case "presence": presence.map { $0.name }
        case "endpoint": endpoint.map { $0.name }
        default: sections.first { $0.name == section }?.keys.map { $0.name } ?? []
        }
    }
}
