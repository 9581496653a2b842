import Channels
package import Identity

/// Reads the file of a key: its contents, or what is wrong with it.
///
/// - Parameter isSecret: it has a secret, which others must not be able to read.
package typealias KeyFileReader =
    @Sendable (_ path: String, _ isSecret: Bool) -> Result<[UInt8], KeyProblem>

/// `[key NAME]`
extension SettingsReader {
    mutating func readKey(_ section: IniFile.Section) {
        let name = section.argument ?? ""
        if section.argument == nil {
            report(section.line, "section [key] lacks its name; write for example [key web]")
        } else if !KeySettings.isName(name) {
            report(
                section.line,
                "'\(shown(name))' is not the name of a key; allowed: 1 to \(KeySettings.nameByteLimit) ASCII letters,"
                    + " digits and -._~+/=:@"
            )
        }
        var key = KeySettings(name: name)
        key.line = section.line
        let read = read(section, keys: SettingsTable.key, into: &key)
        settings.keys.append(key)
        keysOfKeys.append(read)
        guard read.failed.isEmpty else { return }
        let isSecret = key.algorithm.isSecret
        let given = [key.secretFile, key.secret].count { $0 != nil }
        if isSecret, given != 1 {
            report(
                section.line,
                "[key \(shown(name))] needs one secret for algorithm = HS256; write either secret_file = PATH, or for"
                    + " development secret = TEXT"
            )
        } else if !isSecret, key.publicKeyFile == nil {
            report(
                section.line,
                "[key \(shown(name))] needs a public key for algorithm = \(key.algorithm.rawValue); write"
                    + " public_key_file = PATH"
            )
        }
        let idle = isSecret ? ["public_key_file"] : ["secret_file", "secret"]
        for (place, line) in read.lines where idle.contains(place) {
            let isNone =
                isSecret ? key.publicKeyFile == nil : key.secretFile == nil && key.secret == nil
            guard !isNone else { continue }
            report(
                line,
                "'\(place)' has no effect with algorithm = \(key.algorithm.rawValue); allowed there: "
                    + (isSecret ? "secret_file or secret" : "public_key_file")
            )
        }
    }

    /// The keys that sections name, and how many there are.
    mutating func checkKeys() {
        if settings.keys.count > KeySettings.countLimit, let line = settings.keys.last?.line {
            report(
                line,
                "\(settings.keys.count) [key] sections are too many; allowed: \(KeySettings.countLimit), since each may"
                    + " have to be tried"
            )
        }
        let names = settings.keys.map(\.name)
        for rule in settings.allow {
            for case .local(_, let keys)? in [rule.read, rule.publish] {
                for key in keys where !names.contains(key) {
                    let advice =
                        nearestName(to: key, among: names).map { "did you mean key:\($0)?" }
                        ?? "write a section [key \(key)]"
                    report(
                        rule.line ?? 1,
                        "[allow \(rule.pattern)] names key:\(key), and there is no section [key \(key)]; \(advice)"
                    )
                }
            }
        }
    }

    /// Loads the material of the keys that could be read.
    mutating func loadKeys(_ reader: KeyFileReader?) {
        for (place, read) in keysOfKeys.enumerated() where read.failed.isEmpty {
            let key = settings.keys[place]
            if let secret = key.secret {
                settings.keys[place].material = Array(secret.utf8)
                continue
            }
            guard let reader else { continue }
            let isSecret = key.algorithm.isSecret
            let name = isSecret ? "secret_file" : "public_key_file"
            guard let path = isSecret ? key.secretFile : key.publicKeyFile else { continue }
            do throws(KeyProblem) {
                settings.keys[place].material = try KeySettings.material(
                    in: reader(path, isSecret).get(),
                    of: key.algorithm
                )
            } catch {
                report(
                    read.lines[name] ?? key.line ?? 1,
                    "[key \(shown(key.name))] \(name) = \(shown(path)) \(error.wrong)"
                )
            }
        }
    }
}
