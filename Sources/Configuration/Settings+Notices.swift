internal import Channels

extension Settings {
    /// What is allowed in the ini file but may not be meant: sections of `[allow]` that both name a channel, of
    /// which neither is an exception from the other, and that say different things about it. One of them decides, and
    /// whoever closed a channel by the other would not know that it is open.
    ///
    /// None where a third section decides for the channel, and so many at most.
    package func notices(limit: Int = 20) -> [ConfigurationProblem] {
        var notices: [ConfigurationProblem] = []
        for (place, one) in allow.enumerated() {
            for other in allow[(place + 1)...] {
                notices += SettingsTable.allow.compactMap { contradiction(one, other, $0) }
                if notices.count >= limit { return notices }
            }
        }
        return notices
    }

    /// - Parameter one: goes before the other one.
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
                + (other.line.map { " in line \($0)" } ?? "") + " both name '\(channel)', and"
                + " [allow \(one.pattern)] decides: \(key.name) = \(first); if that is not meant,"
                + " add [allow \(channel)] with \(key.name) = \(second)"
        )
    }
}
