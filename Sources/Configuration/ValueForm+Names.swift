import Channels
import Identity
internal import Text

extension ValueForm where Value == String {
    /// A directory's absolute path. Whether it exists and can be used is checked when it is opened.
    static let directory = ValueForm(
        allowed: "an absolute path of at most 1024 bytes",
        read: { text throws(ValueError) in
            guard text.hasPrefix("/") else { throw ValueError("is not an absolute path") }
            guard text.utf8.count <= 1024 else { throw ValueError("is too long") }
            guard text.utf8.contains(where: { $0 != UInt8(ascii: "/") }) else {
                throw ValueError("is the root of the file system")
            }
            return text
        },
        write: { $0 }
    )

    /// A group's name, at most 32 characters as in useradd(8).
    static let group = ValueForm(
        allowed: "the name of a group",
        read: { text throws(ValueError) in
            let first = text.utf8.first ?? 0
            guard text.utf8.count <= 32, isNameByte(first), !(0x30...0x39).contains(first),
                !"-.".utf8.contains(first), text.utf8.allSatisfy(isNameByte)
            else { throw ValueError("is not a group's name") }
            return text
        },
        write: { $0 }
    )

    /// The path below which the web server mounts the responder.
    static let base = ValueForm(
        allowed: "a path that begins and ends with '/'",
        read: { text throws(ValueError) in
            guard text.hasPrefix("/"), text.hasSuffix("/") else {
                throw ValueError("does not begin and end with '/'")
            }
            if let wrong = problem(inURLPath: text) { throw ValueError(wrong) }
            return text
        },
        write: { $0 }
    )
}

extension ValueForm where Value == String {
    /// What libpq connects by; it is tried when it is used.
    static let connection = ValueForm(
        allowed: "libpq's connection string without a password, such as host=a,b dbname=site",
        read: { text throws(ValueError) in
            guard (1...1024).contains(text.utf8.count) else {
                throw ValueError("is empty or longer than 1024 bytes")
            }
            guard text.contains("="), !text.includes("://") else {
                throw ValueError("is not made of keywords and values such as host=a")
            }
            guard !text.split(separator: " ").contains(where: { $0.hasPrefix("password=") }) else {
                throw ValueError(
                    "has a password, which belongs in the file ~/.pgpass of the service's user"
                )
            }
            return text
        },
        write: { $0 }
    )

    /// A name that SQL takes without quotes.
    static let schema = ValueForm(
        allowed: "1 to 48 of a-z, 0-9 and _, beginning with a letter",
        read: { text throws(ValueError) in
            let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
            guard let first = text.utf8.first, letters.contains(first), text.utf8.count <= 48,
                text.utf8.allSatisfy({
                    letters.contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "_")
                })
            else { throw ValueError("is not the name of a schema") }
            return text
        },
        write: { $0 }
    )
}

extension ValueForm where Value == AllowRule.Who {
    static let who = ValueForm(
        allowed:
            "everyone, nobody, or users and groups of this machine and keys, as in user:www-data group:1000 key:web",
        read: { text throws(ValueError) in
            switch text {
            case "everyone": return .everyone
            case "nobody": return .nobody
            default: break
            }
            var principals: [LocalPrincipal] = []
            var keys: [String] = []
            for item in separated(text) {
                let parts = item.split(separator: ":", maxSplits: 1).map(String.init)
                if parts.count == 2, parts[0] == "key", KeySettings.isName(parts[1]) {
                    keys.append(parts[1])
                    continue
                }
                guard parts.count == 2, isAccountName(parts[1]) else {
                    throw ValueError("has '\(shown(item))', which names nobody")
                }
                switch parts[0] {
                case "user": principals.append(.user(parts[1]))
                case "group": principals.append(.group(parts[1]))
                default: throw ValueError("has '\(shown(item))', which names nobody")
                }
            }
            return .local(principals, keys: keys)
        },
        write: { who in
            switch who {
            case .everyone: "everyone"
            case .nobody: "nobody"
            case .local(let principals, let keys):
                (principals.map(\.description) + keys.map { "key:\($0)" }).joined(separator: " ")
            }
        }
    )
}

/// The name of a user or group, or a number.
private func isAccountName(_ text: String) -> Bool {
    let first = text.utf8.first ?? 0
    guard text.utf8.count <= 32, text.utf8.allSatisfy(isNameByte), !"-.".utf8.contains(first) else {
        return false
    }
    return !(0x30...0x39).contains(first) || UInt32(text) != nil
}

extension ValueForm where Value == ChannelName {
    static let channel = ValueForm(
        allowed: "the name of a channel",
        read: { text throws(ValueError) in
            do throws(ChannelNameError) {
                let name = try ChannelName(text)
                guard !name.isOwn else { throw ChannelNameError.reserved }
                return name
            } catch {
                throw ValueError("is not a channel: \(error)")
            }
        },
        write: { $0.text }
    )
}

extension ValueForm where Value == [ChannelPattern] {
    static let patterns = ValueForm(
        allowed: "patterns of channels such as news/** separated by commas or blanks",
        read: { text throws(ValueError) in
            var patterns: [ChannelPattern] = []
            for item in separated(text) {
                guard let pattern = ChannelPattern(item) else {
                    throw ValueError("has '\(shown(item))', which is not a channel pattern")
                }
                patterns.append(pattern)
            }
            if patterns.isEmpty { throw ValueError("has no pattern") }
            return patterns
        },
        write: { $0.map(\.text).joined(separator: ", ") }
    )
}

extension ValueForm where Value == [ChannelName] {
    static let channels = ValueForm(
        allowed: "names of channels separated by commas or blanks",
        read: { text throws(ValueError) in
            var names: [ChannelName] = []
            var wrongs: [String] = []
            for item in separated(text) {
                do throws(ChannelNameError) {
                    let name = try ChannelName(item)
                    if names.contains(name) {
                        wrongs.append("names '\(name)' twice")
                    } else {
                        names.append(name)
                    }
                } catch {
                    wrongs.append("has '\(shown(item))', but \(error)")
                }
            }
            if !wrongs.isEmpty { throw ValueError(all: wrongs) }
            if names.isEmpty { throw ValueError("names no channel") }
            return names
        },
        write: { $0.map(\.text).joined(separator: ", ") }
    )
}

/// The items of a list, separated by commas, blanks or both.
func separated(_ text: String) -> [String] {
    text.split(whereSeparator: { $0 == "," || $0 == " " || $0 == "\t" }).map(String.init)
}

/// The rest of the sentence about a URL path that no request can have, or nil. Requests are compared after decoding,
/// without query, with `//` merged (HTTP interface).
func problem(inURLPath path: String) -> String? {
    if !path.hasPrefix("/") { return "does not begin with '/'" }
    if path.utf8.count > 255 { return "is too long, more than 255 characters" }
    if path.includes("//") { return "has '//', which is merged in requests" }
    let segments = path.split(separator: "/")
    if segments.contains(".") || segments.contains("..") { return "has a segment '.' or '..'" }
    let others = Array("!$&'()*+,;=:@/~".utf8)
    for byte in path.utf8 where !(isNameByte(byte) || others.contains(byte)) {
        return "has a character other than ASCII letters, digits and -._~!$&'()*+,;=:@"
    }
    return nil
}

/// ASCII letters, digits, `.`, `_` and `-`.
private func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: "._-".utf8.contains(byte)
    }
}
