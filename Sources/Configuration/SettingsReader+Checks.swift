/// What makes no sense although each value is allowed: keys that are missing or have no effect, and values that contradict
/// each other.
extension SettingsReader {
    /// Checks for keys that an endpoint lacks, that have no effect, or that contradict each other.
    mutating func check(
        _ endpoint: FixedEndpoint,
        _ section: IniFile.Section,
        _ read: KeysRead
    ) {
        let actions = listed(
            FixedEndpoint.Action.allCases.map(\.rawValue),
            lastJoinedBy: "or"
        )
        guard read.lines["action"] != nil else {
            return report(
                section.line,
                "\(shown(Self.title(section))) has no action; add action = \(actions)"
            )
        }
        guard !read.failed.contains("action") else { return }
        let action = endpoint.action.rawValue
        let meant = SettingsTable.endpointKeys(of: endpoint.action).map(\.name)
        for (name, line) in read.lines where !meant.contains(name) {
            report(
                line,
                "'\(name)' has no effect with action = \(action); allowed there: "
                    + listed(meant, lastJoinedBy: "and")
            )
        }
        if meant.contains("channels"), read.lines["channels"] == nil {
            report(
                section.line,
                "\(shown(Self.title(section))) has no channels; action = \(action) needs"
                    + " channels = NAME"
            )
        }
    }

    mutating func checkEndpoints() {
        let service = settings.fastcgi.base + "-/"
        let most = settings.limits.channelsPerRequest
        for (endpoint, (path, line)) in zip(settings.endpoints, endpointLines) {
            if path.hasPrefix(service) {
                report(
                    line,
                    "path '\(shown(path))' would hide a path of the service;"
                        + " allowed is one that does not begin with \(service)"
                )
            }
            if endpoint.channels.count > most {
                report(
                    keysRead["[endpoint \(path)]"]?.lines["channels"] ?? line,
                    "\(endpoint.channels.count) channels are more than a request may name;"
                        + " allowed: \(most), see channels_per_request in [limits]"
                )
            }
        }
    }

    mutating func check(_ relation: SettingsRelation) {
        guard !relation.holds(in: settings) else { return }
        let (large, small) = (relation.large, relation.small)
        let sides = [large, small].map { ($0, keysRead[$0.section] ?? KeysRead()) }
        if sides.contains(where: { $1.failed.contains($0.key) }) { return }
        // The defaults are consistent, so one of the two is in the file.
        let line = sides.compactMap { $1.lines[$0.key] }.max() ?? 1
        report(
            line,
            "[\(large.section)] \(large.key) = \(large.text(settings)) is too small for"
                + " [\(small.section)] \(small.key) = \(small.text(settings)); allowed: at least"
                + " \(relation.times)\(small.key), because \(relation.because)"
        )
    }
}
