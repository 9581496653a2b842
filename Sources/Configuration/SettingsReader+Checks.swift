internal import Channels

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

    /// Each path is one thing: of a socket and a pipe, or of two sockets, the later one would find the other in its way.
    mutating func checkPaths() {
        func line(_ section: String, _ key: String) -> Int? { keysRead[section]?.lines[key] }
        var places: [(path: String, name: String, line: Int?)] = []
        if case .unix(let path) = settings.fastcgi.listen {
            places.append((path, "[fastcgi] listen", line("fastcgi", "listen")))
        }
        if let path = settings.bus.socket {
            places.append((path, "[bus] socket", line("bus", "socket")))
        }
        places.append((settings.bus.directory, "[bus] directory", line("bus", "directory")))
        for pipe in settings.pipes where !pipe.path.isEmpty {
            let title = "[pipe \(pipe.path)]"
            places.append((pipe.path, shown(title), sectionLines[ExactText(title)]))
        }
        for (index, place) in places.enumerated() {
            let parts = place.path.split(separator: "/")
            guard
                let other = places[..<index].first(where: {
                    $0.path.split(separator: "/") == parts && $0.name != place.name
                })
            else { continue }
            report(
                [place.line, other.line].compactMap(\.self).max() ?? 1,
                "\(place.name) has the path of \(other.name), \(shown(other.path)); give each a path of its own"
            )
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
