internal import Channels
internal import Identity

extension Settings {
    /// Settings that are allowed but may not be intended: `[allow]` sections that match the same channel, neither an
    /// exception from the other, and that contradict each other. One of them decides, and an author who closed a
    /// channel by the other would not know that it is open.
    ///
    /// There is no notice if a third section decides for the channel, and at most `limit` in all.
    package func notices(limit: Int = 20) -> [ConfigurationProblem] {
        var notices = keys.filter { $0.secret != nil }.prefix(limit).map { key in
            ConfigurationProblem(
                line: key.line ?? 1,
                sentence:
                    "[key \(key.name)] has its secret in this file, where everyone who may read the file"
                    + " sees it; this is meant for development, otherwise use secret_file"
            )
        }
        for (place, one) in allow.enumerated() {
            for other in allow[(place + 1)...] {
                notices += SettingsTable.allow.compactMap { contradiction(one, other, $0) }
                if notices.count >= limit { return notices }
            }
        }
        return notices
    }

    /// - Parameter one: takes precedence over the other one.
    private func contradiction(
        _ one: AllowRule,
        _ other: AllowRule,
        _ key: SettingsKey<AllowRule>
    ) -> ConfigurationProblem? {
        guard let first = key.text(one), let second = key.text(other), first != second,
            let channel = one.pattern.common(with: other.pattern),
            !other.pattern.contains(one.pattern),
            allow.first(where: { key.text($0) != nil && $0.pattern.matches(channel) })?.pattern
                == one.pattern
        else { return nil }
        return ConfigurationProblem(
            line: one.line ?? 1,
            sentence: "[allow \(one.pattern)] and [allow \(other.pattern)]"
                + (other.line.map { " in line \($0)" } ?? "") + " both match '\(channel)', and"
                + " [allow \(one.pattern)] decides: \(key.name) = \(first); if that is not intended,"
                + " add [allow \(channel)] with \(key.name) = \(second)"
        )
    }
}
