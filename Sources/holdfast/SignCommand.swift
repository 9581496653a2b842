internal import ArgumentParser
internal import Channels
internal import Configuration
internal import Endpoint
internal import Glibc
internal import Identity
internal import Liveness
internal import System
internal import Text

/// `holdfast sign`: makes a signed link.
struct Sign: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a signed link that opens channels until it expires.",
        discussion: """
            The link is for exactly these channels. It opens those whose [allow] section names the key (read = key:NAME). A \
            page may add since, wait, subscriber and other parameters to it.
            """
    )

    @OptionGroup var ini: IniFileOption

    @Option(help: "The [key] section (default: the only one with a shared secret).")
    var key: String?

    @Option(help: "How long it is valid: 90s, 10m, 2h, 7d.")
    var expires = "1h"

    @Flag(help: "Permits to read (the default without --publish).")
    var read = false

    @Flag(help: "Permits to publish.")
    var publish = false

    @Option(help: "The name of the user that has the link, for presence and quotas.")
    var user: String?

    @Option(help: "The beginning of the link (default: base of the ini file).")
    var base: String?

    @Argument(help: "The channels.", transform: channelArgument)
    var channels: [ChannelName]

    func validate() throws {
        guard let seconds = Self.seconds(expires), seconds > 0 else {
            throw ValidationError(
                "--expires must be a duration of at most ten years, such as 90s, 10m, 2h or 7d"
            )
        }
        if let user, user.utf8.count > Member.nameByteLimit || !user.isShownName {
            throw ValidationError(
                "--user must be at most \(Member.nameByteLimit) bytes of text without control characters, and not blank"
            )
        }
    }

    func run() throws {
        let settings = try IniFileReader.settings(
            IniFileReader.readWithKeys(ini.config),
            orExit: EX_CONFIG
        )
        let names = try names(atMost: settings.limits.channelsPerRequest)
        let name = try keyName(in: settings)
        warn(of: names, openBy: name, settings.allow)
        let link = SignedLink(
            channels: names,
            expires: "\(SystemClock.wallMilliseconds() / 1000 + (Self.seconds(expires) ?? 0))",
            rights: publish ? (read ? "read,publish" : "publish") : nil,
            user: user
        )
        guard let signature = KeyRing(settings.keys).signature(of: link, keyName: name) else {
            throw ValidationError("[key \(name)] has no shared secret, so it cannot sign links")
        }
        let query = link.query(keyName: settings.keys.count > 1 ? name : nil, signature: signature)
        StandardOutput.writeLine((base ?? settings.fastcgi.base) + "?" + query)
    }

    /// Names on standard error the channels that the link will not open.
    private func warn(of names: [ChannelName], openBy key: String, _ rules: [AllowRule]) {
        let wanted: [(String, KeyPath<AllowRule, AllowRule.Who?>)] =
            (read || !publish ? [("read", \.read)] : []) + (publish ? [("publish", \.publish)] : [])
        for (action, who) in wanted {
            for channel in names {
                let deciding = rules.first {
                    $0[keyPath: who] != nil && $0.pattern.matches(channel.subject)
                }
                switch deciding?[keyPath: who] {
                case .everyone: continue
                case .local(_, let keys) where keys.contains(key): continue
                default:
                    StandardError.write(
                        "the link does not open \(channel): no [allow] section with \(action) = key:\(key) decides about it"
                    )
                }
            }
        }
    }

    /// The channels, each once: a request does not name one twice.
    private func names(atMost limit: Int) throws -> [ChannelName] {
        let names = channels.reduce(into: [ChannelName]()) { names, name in
            if !names.contains(name) { names.append(name) }
        }
        guard names.count <= limit else {
            throw ValidationError(
                "a request may name at most \(limit) channels (channels_per_request in [limits])"
            )
        }
        return names
    }

    private func keyName(in settings: Settings) throws -> String {
        if let key {
            guard settings.keys.contains(where: { $0.name == key }) else {
                throw ValidationError("\(ini.config) has no section [key \(key)]")
            }
            return key
        }
        let secrets = settings.keys.filter(\.algorithm.isSecret)
        guard let only = secrets.first, secrets.count == 1 else {
            throw ValidationError(
                secrets.isEmpty
                    ? "\(ini.config) has no [key] section with a shared secret"
                    : "say with --key which one: \(secrets.map(\.name).joined(separator: ", "))"
            )
        }
        return only.name
    }

    static func seconds(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let last = text.last else { return nil }
        let factor = units[last]
        guard let number = String(factor == nil ? text[...] : text.dropLast()).wholeNumber else {
            return nil
        }
        let (seconds, overflows) = Int64(number).multipliedReportingOverflow(by: factor ?? 1)
        return overflows || seconds > 3650 * 86_400 ? nil : seconds
    }
}
