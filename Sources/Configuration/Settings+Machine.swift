import Channels
internal import Identity

/// What the ini file's machine has, for checking what the file presumes.
package struct Machine: Sendable {
    package let hasUser: @Sendable (String) -> Bool
    package let hasGroup: @Sendable (String) -> Bool
    package let directory: @Sendable (String) -> Directory
    /// A sentence about an entry of a log's directory that the directory's owner cannot use, or nil.
    package let leftover: @Sendable (String) -> String?
    /// A sentence about a key's file that the owner of a log's directory cannot read, or nil.
    package let unreadable: @Sendable (_ file: String, _ directory: String) -> String?

    /// What is found at the path of a directory.
    package enum Directory: Sendable {
        case there, missing
        /// This file is at the path, or at a parent of it.
        case file(String)
    }

    package init(
        hasUser: @escaping @Sendable (String) -> Bool,
        hasGroup: @escaping @Sendable (String) -> Bool,
        directory: @escaping @Sendable (String) -> Directory,
        leftover: @escaping @Sendable (String) -> String?,
        unreadable: @escaping @Sendable (_ file: String, _ directory: String) -> String?
    ) {
        self.hasUser = hasUser
        self.hasGroup = hasGroup
        self.directory = directory
        self.leftover = leftover
        self.unreadable = unreadable
    }
}

extension Settings {
    /// The users, groups and directories that these settings name and the machine lacks.
    ///
    /// - Parameters:
    ///   - sections: the file that they were read from.
    ///   - known: the problems of the file itself. If there are any, only what could be read is checked, and no
    ///     default, which may stand for something that could not be read.
    func problems(
        on machine: Machine,
        in sections: [IniFile.Section],
        besides known: [ConfigurationProblem]
    ) -> [ConfigurationProblem] {
        var check = MachineCheck(machine: machine, sections: sections, known: known)
        if case .unix(let path) = fastcgi.listen {
            check.parent(of: path, at: check.place("fastcgi", "listen"))
        }
        check.group(fastcgi.group, at: check.place("fastcgi", "group"))
        check.log(bus.directory, at: check.place("bus", "directory"))
        check.group(bus.group, at: check.place("bus", "group"))
        if let path = bus.socket { check.parent(of: path, at: check.place("bus", "socket")) }
        check.group(bus.socketGroup, at: check.place("bus", "socket_group"))
        for pipe in pipes {
            check.parent(of: pipe.path, at: check.place("pipe", nil, argument: pipe.path))
            check.group(pipe.group, at: check.place("pipe", "group", argument: pipe.path))
        }
        for rule in allow {
            let section = sections.first { $0.line == rule.line }
            check.principals(rule.read, at: ("allow", section, "read"))
            check.principals(rule.publish, at: ("allow", section, "publish"))
        }
        for key in keys {
            for (name, path) in [
                ("secret_file", key.secretFile), ("public_key_file", key.publicKeyFile),
            ] {
                guard let path, let sentence = machine.unreadable(path, bus.directory) else {
                    continue
                }
                let section = sections.first { $0.line == key.line }
                check.report(("key", section, name), path, sentence)
            }
        }
        return check.problems
    }
}

private struct MachineCheck {
    /// `section`: nil if it is not in the file; `key`: nil for the section's argument.
    typealias Place = (name: String, section: IniFile.Section?, key: String?)

    let machine: Machine
    let sections: [IniFile.Section]
    let known: [ConfigurationProblem]
    var problems: [ConfigurationProblem] = []

    init(machine: Machine, sections: [IniFile.Section], known: [ConfigurationProblem]) {
        (self.machine, self.sections, self.known) = (machine, sections, known)
    }

    /// The place of a setting; of several places the last one counts, as in reading.
    func place(_ name: String, _ key: String?, argument: String? = nil) -> Place {
        let found = sections.filter { $0.name == name && $0.argument == argument }
        let section = found.last { $0.entries.contains { $0.key == key } } ?? found.last
        return (name, section, key)
    }

    mutating func log(_ directory: String, at place: Place) {
        switch machine.directory(directory) {
        case .there:
            if let sentence = machine.leftover(directory) { report(place, directory, sentence) }
        case .missing: parent(of: directory, at: place)
        case .file(let file): report(place, directory, Self.sentence(onFile: file))
        }
    }

    mutating func parent(of path: String, at place: Place) {
        let parent = path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
        switch machine.directory(parent.isEmpty ? "/" : parent) {
        case .there: break
        case .missing:
            report(
                place,
                path,
                "there is no directory \(shown(parent)) on this machine; create it (conf/holdfast.tmpfiles creates"
                    + " those of the defaults), or use a path in an existing one"
            )
        case .file(let file): report(place, path, Self.sentence(onFile: file))
        }
    }

    private static func sentence(onFile file: String) -> String {
        "\(shown(file)) is not a directory; move it away, or use another path"
    }

    mutating func group(_ name: String?, at place: Place) {
        guard let name, !machine.hasGroup(name) else { return }
        report(place, name, "there is no such group on this machine; create it, or use another")
    }

    mutating func principals(_ who: AllowRule.Who?, at place: Place) {
        guard case .local(let principals, _)? = who else { return }
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
                "there is no such \(kind) on this machine; create it, or use another"
            )
        }
    }

    mutating func report(_ place: Place, _ value: String, _ sentence: String) {
        let entry = place.section?.entries.last { $0.key == place.key }
        let isDefault = place.key != nil && entry == nil
        let line = entry?.line ?? place.section?.line
        if !known.isEmpty, isDefault || known.contains(where: { $0.line == line }) { return }
        let argument = place.section?.argument.map { " \(shown($0))" } ?? ""
        var subject = "[\(place.name)\(argument)]"
        if let key = place.key { subject += " \(key) = \(shown(value))" }
        if isDefault { subject += " (the default)" }
        problems.append(ConfigurationProblem(line: line, sentence: "\(subject): \(sentence)"))
    }
}
