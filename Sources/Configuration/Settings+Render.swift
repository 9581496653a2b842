internal import Channels
internal import Identity

extension Settings {
    /// A complete ini file with every value filled in; it reads back as the same settings.
    package func render() -> String {
        SettingsTable.sectionNames.flatMap(blocks).map { $0 + "\n" }.joined(separator: "\n")
    }

    private func blocks(_ section: String) -> [String] {
        switch section {
        case "engine":
            bus.engine.map { [block("engine", SettingsTable.engine, $0)] } ?? []
        case "retain":
            retain.map { block("retain \($0.pattern)", SettingsTable.retain, $0) }
        case "allow":
            allow.map { block("allow \($0.pattern)", SettingsTable.allow, $0) }
        case "key":
            keys.map { block("key \($0.name)", SettingsTable.key, $0) }
        case "presence":
            presence.map { block("presence \($0.pattern)", SettingsTable.presence, $0) }
        case "pipe":
            pipes.map { block("pipe \($0.path)", SettingsTable.pipe, $0) }
        case "quota":
            quotas.map { block("quota \($0.publisher)", SettingsTable.quota, $0) }
        case "endpoint":
            endpoints.map {
                block("endpoint \($0.path)", SettingsTable.endpointKeys(of: $0.action), $0)
            }
        default:
            SettingsTable.sections.filter { $0.name == section }.map {
                block($0.name, $0.keys, self)
            }
        }
    }

    private func block<Target>(
        _ header: String,
        _ keys: [SettingsKey<Target>],
        _ target: Target
    ) -> String {
        let lines = keys.compactMap { key in key.text(target).map { "\(key.name) = \($0)" } }
        return (["[\(header)]"] + lines).joined(separator: "\n")
    }
}
