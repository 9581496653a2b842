import Channels

extension Settings {
    /// Reads the settings of an ini file, with defaults for all it does not set, or reports all its problems.
    ///
    /// - Parameters:
    ///   - machine: if given, what the file presumes of its machine is checked, too.
    ///   - keyFile: reads the file of a key; nil: keys in files are not loaded.
    package static func read(
        _ bytes: [UInt8],
        on machine: Machine? = nil,
        keyFile: KeyFileReader? = nil
    ) -> Result<Settings, ConfigurationProblems> {
        let file = IniFile.parse(bytes)
        var reader = SettingsReader(problems: file.problems)
        for section in file.sections { reader.read(section) }
        reader.checkWhole()
        reader.loadKeys(keyFile)
        var problems = reader.problems
        if let machine {
            problems += reader.settings.problems(on: machine, in: file.sections, besides: problems)
        }
        guard problems.isEmpty else {
            // Sorted by line; the sort is stable.
            return .failure(
                ConfigurationProblems(problems.sorted { $0.line ?? 0 < $1.line ?? 0 })
            )
        }
        return .success(reader.settings)
    }
}

/// Reads an ini file's sections once and collects settings and problems.
struct SettingsReader {
    var settings = Settings()
    private(set) var problems: [ConfigurationProblem]
    /// The line at which each section (with its argument) first stands.
    private(set) var sectionLines: [ExactText: Int] = [:]
    /// The keys read in each section (with its argument).
    private(set) var keysRead: [String: KeysRead] = [:]
    /// The sections with channel patterns so far.
    private var patternsRead: [(section: String, pattern: ChannelPattern, line: Int)] = []
    /// The line of each endpoint's header, by path.
    private(set) var endpointLines: [(path: String, line: Int)] = []
    /// The keys that were read in each section of `settings.keys`.
    var keysOfKeys: [KeysRead] = []

    /// The keys of one section that are in the file.
    struct KeysRead {
        var lines: [String: Int] = [:]
        /// Those whose value could not be read; checks that compare them with others would only confuse.
        var failed: Set<String> = []
    }

    init(problems: [ConfigurationProblem]) {
        self.problems = problems
    }

    mutating func read(_ section: IniFile.Section) {
        guard SettingsTable.sectionNames.contains(section.name) else {
            return reportUnknown(section)
        }
        let title = ExactText(Self.title(section))
        // A repeated section is still read, to report the problems in it.
        if let line = sectionLines[title] {
            report(
                section.line,
                "section \(shown(title.text)) was already in line \(line); write its keys in one place"
            )
        } else {
            sectionLines[title] = section.line
        }
        switch section.name {
        case "engine": readEngine(section)
        case "retain": readRetain(section)
        case "allow": readAllow(section)
        case "key": readKey(section)
        case "presence": readPresence(section)
        case "pipe": readPipe(section)
        case "quota": readQuota(section)
        case "endpoint": readEndpoint(section)
        default: readFixed(section)
        }
    }

    /// Checks what cannot be judged from one section alone.
    mutating func checkWhole() {
        for relation in SettingsRelation.all { check(relation) }
        checkEndpoints()
        checkKeys()
        checkPaths()
    }

    // MARK: Sections

    private mutating func readFixed(_ section: IniFile.Section) {
        if let argument = section.argument {
            report(
                section.line,
                "section [\(section.name)] has the argument '\(shown(argument))';"
                    + " write [\(section.name)] alone"
            )
        }
        let keys = SettingsTable.sections.first { $0.name == section.name }?.keys ?? []
        var changed = settings
        keysRead[section.name] = read(section, keys: keys, into: &changed)
        settings = changed
    }

    private mutating func readEngine(_ section: IniFile.Section) {
        if let argument = section.argument {
            report(
                section.line,
                "section [engine] has the argument '\(shown(argument))'; write [engine] alone"
            )
        }
        var engine = EngineSettings(postgresql: "")
        let read = read(section, keys: SettingsTable.engine, into: &engine)
        if read.lines["postgresql"] == nil {
            report(
                section.line,
                "section [engine] lacks its database; write for example postgresql = host=/run/postgresql dbname=site"
            )
        }
        settings.bus.engine = engine
    }

    private mutating func readRetain(_ section: IniFile.Section) {
        let pattern = pattern(of: section)
        // A section whose pattern cannot be read is still read, to report the problems in it.
        var rule = RetainRule(pattern: pattern ?? .any)
        _ = read(section, keys: SettingsTable.retain, into: &rule)
        if pattern != nil { settings.retain.append(rule) }
    }

    private mutating func readAllow(_ section: IniFile.Section) {
        let pattern = pattern(of: section)
        var rule = AllowRule(pattern: pattern ?? .any)
        rule.line = section.line
        _ = read(section, keys: SettingsTable.allow, into: &rule)
        // Kept even if the pattern cannot be read, in which case these settings are not used: its users are checked.
        settings.allow.append(rule)
    }

    private mutating func readPresence(_ section: IniFile.Section) {
        let pattern = pattern(of: section)
        var rule = PresenceRule(pattern: pattern ?? .any)
        _ = read(section, keys: SettingsTable.presence, into: &rule)
        if pattern != nil { settings.presence.append(rule) }
    }

    private mutating func readPipe(_ section: IniFile.Section) {
        var pipe = PipeSettings(path: section.argument ?? "")
        do throws(ValueError) {
            _ = try ValueForm<String>.directory.read(pipe.path)
        } catch {
            report(
                section.line,
                section.argument == nil
                    ? "section [pipe] lacks its path; write for example [pipe /run/holdfast-bus/bus.pipe]"
                    : "path '\(shown(pipe.path))' \(error.wrong); allowed: an absolute path of at most 1024 bytes"
            )
        }
        let read = read(section, keys: SettingsTable.pipe, into: &pipe)
        if let line = read.lines["format"], pipe.format != .text, pipe.channel == nil,
            !read.failed.contains("channel")
        {
            report(
                line,
                "'format' has no effect if each line names its channel; allowed with channel = NAME"
            )
        }
        if let line = read.lines["channels"], pipe.channels != [.any], pipe.channel != nil {
            report(
                line,
                "'channels' has no effect with channel = \(pipe.channel?.text ?? ""); allowed with channel = by_line"
            )
        }
        settings.pipes.append(pipe)
    }

    private mutating func readQuota(_ section: IniFile.Section) {
        if section.argument == nil {
            report(
                section.line,
                "section [quota] lacks its publisher; write for example [quota alice], or [quota *] for each publisher"
                    + " without a section of its own"
            )
        }
        var rule = QuotaRule(publisher: section.argument ?? "")
        if rule.publisher.hasPrefix("unix:"), UInt32(rule.publisher.dropFirst(5)) == nil {
            report(
                section.line,
                "'\(shown(rule.publisher))' is not a user of the bus socket; allowed: the number of a user,"
                    + " such as [quota unix:1000]"
            )
        } else if rule.publisher.hasPrefix("pipe:") {
            report(
                section.line,
                "'\(shown(rule.publisher))' has no quota: lines that cannot be taken wait in their pipe;"
                    + " allowed: users and publishers of the web, *, and unix:NUMBER"
            )
        }
        let read = read(section, keys: SettingsTable.quota, into: &rule)
        if read.lines["messages"] == nil, read.lines["bytes"] == nil {
            report(
                section.line,
                "\(shown(Self.title(section))) sets no bound; add messages = NUMBER or bytes = SIZE"
            )
        }
        settings.quotas.append(rule)
    }

    private mutating func pattern(of section: IniFile.Section) -> ChannelPattern? {
        let example = "such as [\(section.name) news/**]"
        guard let text = section.argument else {
            report(
                section.line,
                "section [\(section.name)] lacks its channel pattern, \(example)"
            )
            return nil
        }
        guard let pattern = ChannelPattern(text) else {
            report(
                section.line,
                "'\(shown(text))' is not a channel pattern; allowed are channel names in"
                    + " which '*' stands for one segment and '**' for any number, \(example)"
            )
            return nil
        }
        if let wrong = pattern.reasonForMatchingNothing {
            report(
                section.line,
                "'\(shown(text))' matches no channel: \(wrong)"
            )
        }
        // One of the two could never decide. A repetition of the same text is reported above.
        if let earlier = patternsRead.first(where: {
            $0.section == section.name && $0.pattern != pattern
                && $0.pattern.isEquivalent(to: pattern)
        }) {
            report(
                section.line,
                "section [\(section.name) \(pattern)] matches the same channels as"
                    + " [\(section.name) \(earlier.pattern)] in line \(earlier.line);"
                    + " write its keys in one place"
            )
        }
        patternsRead.append((section.name, pattern, section.line))
        return pattern
    }

    private mutating func readEndpoint(_ section: IniFile.Section) {
        let path = section.argument ?? ""
        if section.argument == nil {
            report(
                section.line,
                "section [endpoint] lacks its path; write for example [endpoint /sub]"
            )
        } else if let wrong = problem(inURLPath: path) {
            report(
                section.line,
                "path '\(shown(path))' \(wrong); allowed is a path as it appears in requests,"
                    + " such as [endpoint /sub]"
            )
        }
        var endpoint = FixedEndpoint(path: path, action: .subscribe)
        let read = read(section, keys: SettingsTable.endpoint, into: &endpoint)
        keysRead[Self.title(section)] = read
        check(endpoint, section, read)
        settings.endpoints.append(endpoint)
        endpointLines.append((path, section.line))
    }

    // MARK: Keys

    mutating func read<Target>(
        _ section: IniFile.Section,
        keys: [SettingsKey<Target>],
        into target: inout Target
    ) -> KeysRead {
        var read = KeysRead()
        for entry in section.entries {
            guard let key = keys.first(where: { $0.name == entry.key }) else {
                reportUnknown(entry, in: section.name, known: keys.map(\.name))
                continue
            }
            if let line = read.lines[key.name] {
                report(
                    entry.line,
                    "key '\(key.name)' was already in line \(line); a section may have it only once"
                )
            } else {
                read.lines[key.name] = entry.line
            }
            if let problem = set(key, entry, in: &target) {
                read.failed.insert(key.name)
                report(entry.line, problem)
            }
        }
        return read
    }

    private func set<Target>(
        _ key: SettingsKey<Target>,
        _ entry: IniFile.Entry,
        in target: inout Target
    ) -> String? {
        if entry.value.isEmpty { return "'\(key.name)' has no value; allowed: \(key.allowed)" }
        do throws(ValueError) {
            try key.set(entry.value, &target)
            return nil
        } catch {
            let quoted =
                entry.value.utf8.first == UInt8(ascii: "\"")
                || entry.value.utf8.first == UInt8(ascii: "'")
            let value = key.isHidden ? "***" : shown(entry.value)
            return "\(key.name) = \(value) \(error.wrong); allowed: \(key.allowed)"
                + (quoted ? " (without quotation marks)" : "")
        }
    }

    // MARK: Reports

    mutating func report(_ line: Int, _ sentence: String) {
        problems.append(ConfigurationProblem(line: line, sentence: sentence))
    }

    private mutating func reportUnknown(_ section: IniFile.Section) {
        let names = SettingsTable.sectionNames
        let advice =
            nearestName(to: section.name, among: names).map { "did you mean [\($0)]?" }
            ?? "allowed are " + listed(names.map { "[\($0)]" }, lastJoinedBy: "and")
        report(section.line, "unknown section [\(shown(section.name))]; \(advice)")
    }

    private mutating func reportUnknown(_ entry: IniFile.Entry, in section: String, known: [String])
    {
        let elsewhere = SettingsTable.sectionNames.first {
            SettingsTable.keyNames(of: $0).contains(entry.key)
        }
        let nearest = nearestName(to: entry.key, among: known)
        let advice =
            switch (nearest, elsewhere) {
            case (let near?, let other?): "did you mean '\(near)', or the key of [\(other)]?"
            case (let near?, nil): "did you mean '\(near)'?"
            case (nil, let other?): "it belongs in [\(other)]"
            case (nil, nil): "allowed are \(listed(known, lastJoinedBy: "and"))"
            }
        // What resembles no key may be a secret whose line ends with '='.
        let isHidden = section == "key" && nearest == nil && elsewhere == nil
        let name = isHidden ? "***" : shown(entry.key)
        report(entry.line, "unknown key '\(name)' in [\(section)]; \(advice)")
    }

    static func title(_ section: IniFile.Section) -> String {
        section.argument.map { "[\(section.name) \($0)]" } ?? "[\(section.name)]"
    }
}
