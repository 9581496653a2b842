import Channels
import Configuration
import Identity
import Testing

/// conf/holdfast.ini is the manual: these tests keep it true.
struct ManualTests {
    /// A key of the manual, commented out or not, with the comment above it as one line.
    private struct Documented {
        var section: String
        var name: String
        var value: String
        var comment: String
    }

    private func documented() throws -> [Documented] {
        var found: [Documented] = []
        var section = ""
        var comment: [String] = []
        for line in try conf("holdfast.ini").split(
            separator: "\n",
            omittingEmptySubsequences: false
        ) {
            let setting = line.hasPrefix("#") ? line.dropFirst() : line
            if setting.isEmpty {
                comment = []
            } else if setting.hasPrefix(" ") {
                comment.append(String(setting.dropFirst()))
            } else if setting.hasPrefix("[") {
                section = String(setting)
                comment = []
            } else {
                let parts = setting.split(separator: "=", maxSplits: 1)
                try #require(parts.count == 2, "\(line)")
                found.append(
                    Documented(
                        section: section,
                        name: parts[0].trimmed,
                        value: parts[1].trimmed,
                        comment: comment.joined(separator: " ")
                    )
                )
                comment = []
            }
        }
        return found
    }

    private func check<Target>(
        _ keys: [SettingsKey<Target>],
        _ header: String,
        defaults: Target?,
        _ manual: [Documented]
    ) {
        let section = manual.filter { $0.section == header }
        #expect(section.map(\.name) == keys.map(\.name), "\(header)")
        for (key, entry) in zip(keys, section) {
            #expect(
                entry.comment.contains("Allowed: \(key.allowed). "),
                "\(header) \(key.name): \(key.allowed)"
            )
            let change = key.change == .reload ? "Reload applies it" : "Needs a restart."
            #expect(entry.comment.contains(change), "\(header) \(key.name)")
            if let value = defaults.flatMap({ key.text($0) }),
                !entry.comment.contains("No default.")
            {
                #expect(entry.value == value, "\(header) \(key.name)")
            }
        }
    }

    @Test func `the manual names every key with its range, its default and what a change needs`()
        throws
    {
        let manual = try documented()
        for section in SettingsTable.sections {
            check(section.keys, "[\(section.name)]", defaults: Settings(), manual)
        }
        let (all, outcome) = (ChannelPattern("**")!, Retention())
        check(
            SettingsTable.retain,
            "[retain **]",
            defaults: RetainRule(
                pattern: all,
                count: outcome.count,
                ageSeconds: outcome.ageSeconds,
                bytes: outcome.bytes
            ),
            manual
        )
        check(
            SettingsTable.engine,
            "[engine]",
            defaults: EngineSettings(postgresql: ""),
            manual
        )
        check(
            SettingsTable.pipe,
            "[pipe /run/holdfast-bus/bus.pipe]",
            defaults: PipeSettings(path: "/run/holdfast-bus/bus.pipe"),
            manual
        )
        check(
            SettingsTable.quota,
            "[quota *]",
            defaults: QuotaRule(publisher: "*"),
            manual
        )
        check(
            SettingsTable.allow,
            "[allow **]",
            defaults: AllowRule(pattern: all, read: .nobody, publish: .nobody),
            manual
        )
        check(SettingsTable.key, "[key web]", defaults: KeySettings(name: "web"), manual)
        check(
            SettingsTable.endpoint,
            "[endpoint /updates]",
            defaults: FixedEndpoint(path: "/updates", action: .subscribe),
            manual
        )
        let sections = Set(
            manual.map { $0.section.split(whereSeparator: { "[] ".contains($0) })[0] }
        )
        #expect(sections.map(String.init).sorted() == SettingsTable.sectionNames.sorted())
    }

    @Test func `a key had both a default and none`() throws {
        for entry in try documented() {
            // conf/man takes the words from the rule, and names the value as the default without them.
            guard let rule = entry.comment.firstRange(of: "Allowed:") else { continue }
            let text = entry.comment[..<rule.lowerBound]
            #expect(!text.contains("No default."), "\(entry.section) \(entry.name)")
        }
    }

    @Test func `as shipped the file reads as the defaults, closed to everybody`() throws {
        #expect(try settings(conf("holdfast.ini")) == Settings())
    }

    @Test func `with everything uncommented the file reads too`() throws {
        let lines = try conf("holdfast.ini").split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        let text = lines.map { line in
            line.hasPrefix("#") && !line.hasPrefix("# ") ? line.dropFirst() : line
        }.joined(separator: "\n")
        let read = try settings(text)
        #expect(read.fastcgi == FastCGISettings() && read.limits == LimitSettings())
        #expect(read.endpoints.dropFirst() == (try settings(conf("chat.ini"))).endpoints[...])
    }

    @Test func `access to the bus gave access to the web servers' socket`() throws {
        let defaults = Settings()
        guard case .unix(let web) = defaults.fastcgi.listen, let bus = defaults.bus.socket else {
            Issue.record("no sockets")
            return
        }
        func directory(_ path: String) -> String {
            String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        }
        let (ours, theirs) = (directory(bus), directory(web))
        #expect(ours != theirs && !ours.hasPrefix(theirs + "/"))
        let lines = try conf("holdfast.tmpfiles").split(separator: "\n").map {
            $0.split(separator: " ")
        }
        // Only the web server's group gets in to its socket; the bus socket's own mode and group decide.
        #expect(
            lines.contains { $0.prefix(5) == ["d", theirs[...], "2750", "holdfast", "www-data"] }
        )
        #expect(
            lines.contains { $0.prefix(5) == ["d", ours[...], "0755", "holdfast", "holdfast"] }
        )
        for unit in ["holdfast.service", "holdfast@.service"] {
            #expect(try conf(unit).contains("ReadWritePaths=\(theirs) \(ours) /var/lib/holdfast\n"))
        }
    }

    @Test(arguments: ["holdfast.ini", "chat.ini"])
    func `the shipped files cause no notices`(file: String) throws {
        #expect(try settings(conf(file)).notices().isEmpty)
    }

    @Test func `the chat's file opens the channel and has the classic endpoints`() throws {
        let read = try settings(conf("chat.ini"))
        #expect(read.fastcgi.listen == .unix(path: "/run/holdfast/holdfast.sock"))
        #expect(read.bus.directory == "/var/lib/holdfast")
        #expect(
            read.allow == [
                AllowRule(pattern: ChannelPattern("chat")!, read: .everyone, publish: .everyone)
            ]
        )
        #expect(read.endpoints.map(\.path) == ["/sub", "/pub", "/debug"])
        #expect(read.endpoints.map(\.action) == [.subscribe, .publish, .held])
        #expect(read.endpoints[0].cursor == .cookie && read.endpoints[0].format == .bare)
        #expect(read.endpoints[0].waitSeconds == 55)
        #expect(!read.hold.earlyHeaders)
    }
}

extension Substring {
    fileprivate var trimmed: String {
        let kept = drop { $0 == " " }
        return String(kept.reversed().drop { $0 == " " }.reversed())
    }
}
