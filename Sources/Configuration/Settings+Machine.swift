import Channels

/// What an ini file presumes of the machine that it is for.
package struct Machine: Sendable {
    package let hasUser: @Sendable (String) -> Bool
    package let hasGroup: @Sendable (String) -> Bool
    package let hasDirectory: @Sendable (String) -> Bool

    package init(
        hasUser: @escaping @Sendable (String) -> Bool,
        hasGroup: @escaping @Sendable (String) -> Bool,
        hasDirectory: @escaping @Sendable (String) -> Bool
    ) {
        self.hasUser = hasUser
        self.hasGroup = hasGroup
        self.hasDirectory = hasDirectory
    }
}

extension Settings {
    /// The users, groups and directories that these settings name and the machine does not have.
    ///
    /// - Parameter bytes: the file that they were read from.
    package func problems(on machine: Machine, in bytes: [UInt8]) -> [ConfigurationProblem] {
        var check = MachineCheck(machine: machine, sections: IniFile.parse(bytes).sections)
        if case .unix(let path) = fastcgi.listen {
            check.parent(of: path, at: ("fastcgi", nil, "listen"))
        }
        check.group(fastcgi.group, at: ("fastcgi", nil, "group"))
        if !machine.hasDirectory(bus.directory) {
            check.parent(of: bus.directory, at: ("bus", nil, "directory"))
        }
        check.group(bus.group, at: ("bus", nil, "group"))
        if let path = bus.socket { check.parent(of: path, at: ("bus", nil, "socket")) }
        check.group(bus.socketGroup, at: ("bus", nil, "socket_group"))
        for pipe in pipes {
            check.parent(of: pipe.path, at: ("pipe", pipe.path, nil))
            check.group(pipe.group, at: ("pipe", pipe.path, "group"))
        }
        for rule in allow {
            check.principals(rule.read, at: ("allow", rule.pattern.text, "read"))
            check.principals(rule.publish, at: ("allow", rule.pattern.text, "publish"))
        }
        return check.problems.sorted { $0.line < $1.line }
    }
}

private struct MachineCheck {
    /// `key`: nil for what the section's argument says.
    typealias Place = (section: String, argument: String?, key: String?)

    let machine: Machine
    let sections: [IniFile.Section]
    var problems: [ConfigurationProblem] = []

    mutating func parent(of path: String, at place: Place) {
        let parent = path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
        guard !machine.hasDirectory(parent.isEmpty ? "/" : parent) else { return }
        report(
            place,
            path,
            "there is no directory \(shown(parent)) on this machine; make it (conf/holdfast.tmpfiles makes"
                + " those of the defaults), or name a path in one that is there"
        )
    }

    mutating func group(_ name: String?, at place: Place) {
        guard let name, !machine.hasGroup(name) else { return }
        report(place, name, "there is no such group on this machine; make it, or name another")
    }

    mutating func principals(_ who: AllowRule.Who?, at place: Place) {
        guard case .local(let principals)? = who else { return }
        for principal in principals {
            let (isThere, kind) =
                switch principal {
                case .user(let name): (machine.hasUser(name), "user")
                case .group(let name): (machine.hasGroup(name), "group")
                }
            guard !isThere else { continue }
            report(
                place,
                "\(principal)",
                "there is no such \(kind) on this machine; make it, or name another"
            )
        }
    }

    private mutating func report(_ place: Place, _ value: String, _ sentence: String) {
        let section = sections.first { $0.name == place.section && $0.argument == place.argument }
        let entry = section?.entries.first { $0.key == place.key }
        let title = place.argument.map { "[\(place.section) \(shown($0))]" } ?? "[\(place.section)]"
        var subject = place.key.map { "\(title) \($0) = \(shown(value))" } ?? title
        if place.key != nil, entry == nil { subject += " (the default)" }
        problems.append(
            ConfigurationProblem(
                line: entry?.line ?? section?.line ?? 1,
                sentence: "\(subject): \(sentence)"
            )
        )
    }
}
