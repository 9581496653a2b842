import Channels
internal import Identity

extension Settings {
    /// The settings after SIGHUP with a new file: new values for all keys that can be reloaded, old ones for the
    /// others.
    ///
    /// If an old and a new size contradict each other, both keep their old values.
    package func reloaded(with new: Settings) -> Settings {
        var result = new
        for key in Self.keys where key.key.change == .restart { key.key.copy(self, &result) }
        result.pipes = pipes
        result.bus.engine = bus.engine
        for relation in SettingsRelation.all where !relation.holds(in: result) {
            for side in [relation.large, relation.small] {
                let key = Self.keys.first { $0.section == side.section && $0.key.name == side.key }
                key?.key.copy(self, &result)
            }
        }
        return result
    }

    /// The keys that differ, as `[section argument] key`: those that `reloaded(with:)` applies and those that keep
    /// their old value until a restart.
    ///
    /// A rule or endpoint that was added, removed or moved is listed by its section alone.
    package static func reloadDifferences(
        from old: Settings,
        to new: Settings
    ) -> (applied: [String], needsRestart: [String]) {
        let result = old.reloaded(with: new)
        var applied: [String] = []
        var needsRestart: [String] = []
        for section in SettingsTable.sectionNames {
            switch section {
            case "retain":
                applied += differences(
                    section,
                    old.retain,
                    new.retain,
                    SettingsTable.retain,
                    \.pattern.text
                )
            case "allow":
                applied += differences(
                    section,
                    old.allow,
                    new.allow,
                    SettingsTable.allow,
                    \.pattern.text
                )
            case "key":
                applied += differences(section, old.keys, new.keys, SettingsTable.key, \.name)
                applied += changedKeys(from: old.keys, to: new.keys)
            case "presence":
                applied += differences(
                    section,
                    old.presence,
                    new.presence,
                    SettingsTable.presence,
                    \.pattern.text
                )
            case "engine":
                if old.bus.engine != new.bus.engine { needsRestart.append("[engine]") }
            case "pipe":
                needsRestart += differences(
                    section,
                    old.pipes,
                    new.pipes,
                    SettingsTable.pipe,
                    \.path
                )
            case "quota":
                applied += differences(
                    section,
                    old.quotas,
                    new.quotas,
                    SettingsTable.quota,
                    \.publisher
                )
            case "endpoint":
                applied += differences(
                    section,
                    old.endpoints,
                    new.endpoints,
                    SettingsTable.endpoint,
                    \.path
                )
            default:
                for (_, key) in keys.filter({ $0.section == section }) {
                    let wanted = key.text(new)
                    if key.text(old) == wanted { continue }
                    let name = "[\(section)] \(key.name)"
                    if key.text(result) == wanted {
                        applied.append(name)
                    } else {
                        needsRestart.append(name)
                    }
                }
            }
        }
        return (applied, needsRestart)
    }

    /// The keys whose secret or file has another content now, which its text in the file does not show.
    private static func changedKeys(from old: [KeySettings], to new: [KeySettings]) -> [String] {
        new.compactMap { key in
            let before = old.first { $0.name == key.name }
            return before.map { $0.material != key.material } == true
                ? "[key \(key.name)] (its content)" : nil
        }
    }

    private static var keys: [(section: String, key: SettingsKey<Settings>)] {
        SettingsTable.sections.flatMap { section in section.keys.map { (section.name, $0) } }
    }

    /// Compares sections with an argument, which is unique within a file.
    private static func differences<Rule>(
        _ section: String,
        _ old: [Rule],
        _ new: [Rule],
        _ keys: [SettingsKey<Rule>],
        _ argument: KeyPath<Rule, String>
    ) -> [String] {
        func title(_ rule: Rule) -> String { "[\(section) \(rule[keyPath: argument])]" }
        let oldTitles = old.map(title)
        let newTitles = new.map(title)
        // Positions are compared among the rules that stayed, so that one more at the top does not list all of them.
        let stayedOld = oldTitles.filter(newTitles.contains)
        let stayedNew = newTitles.filter(oldTitles.contains)
        let moved = Set(zip(stayedOld, stayedNew).filter { $0 != $1 }.map { $1 })
        var names = oldTitles.filter { !newTitles.contains($0) }
        for (rule, title) in zip(new, newTitles) {
            guard let index = oldTitles.firstIndex(of: title) else {
                names.append(title)
                continue
            }
            if moved.contains(title) { names.append(title) }
            names += keys.filter { $0.text(old[index]) != $0.text(rule) }.map {
                "\(title) \($0.name)"
            }
        }
        return names
    }
}
