internal import ArgumentParser
internal import Bus
internal import Channels
internal import Configuration
internal import Engine
internal import Glibc
internal import System
internal import Text

/// `holdfast engine`: several machines on one bus.
struct EngineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine",
        abstract: "Makes machines share one bus on the site's PostgreSQL.",
        discussion: """
            The section [engine] of the ini file names that PostgreSQL. Once for a site: init. Once on each machine, \
            before its first start: join.
            """,
        subcommands: [Initialize.self, Join.self, Members.self, NewEpoch.self, Leave.self]
    )

    /// `holdfast engine init`
    struct Initialize: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "init",
            abstract: "Prints the SQL that creates the schema of a bus, or runs it.",
            discussion: """
                It creates a schema, and two roles to be granted to the roles that connect: for machines, whose name ends in \
                _machine, and for programs that publish by SQL, whose name ends in _publisher. A schema that holds a bus \
                already is refused.
                """
        )

        @OptionGroup var file: EngineFile

        @Option(help: "What operators call the site.")
        var name = "holdfast"

        @Flag(
            name: .customLong("run"),
            help: "Run it in the database of [engine] postgresql, with the rights of that role."
        )
        var runs = false

        func run() throws {
            let engine = try file.settings().1
            guard runs else {
                let script = EngineSchema.script(schema: engine.schema, name: name)
                return StandardOutput.write(script)
            }
            do throws(PostgresError) {
                try EngineAdministration.create(
                    engine.postgresql,
                    schema: engine.schema,
                    name: name
                )
            } catch {
                throw refusal("\(error)")
            }
            StandardOutput.writeLine("schema \(engine.schema) holds the bus of site '\(name)' now")
        }
    }

    /// `holdfast engine join`
    struct Join: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes this machine part of the site, before its first start.",
            discussion: """
                Prints the site and its machines. If the machine's log has messages of its own, say what to do with them: \
                with --adopt they are the history of the site, and every cursor stays valid, which is possible while nothing \
                was published in the site and no other machine is part of it; with --discard they are dropped, and \
                subscribers are told of a gap. If it was interrupted, run it again. Run it as the user of the service, or \
                as root.
                """
        )

        @OptionGroup var file: EngineFile

        @Option(help: "What operators call this machine (default: as before, or its host name).")
        var name: String?

        @Flag(
            help: "Make the machine's log the history of the site, as its first machine."
        )
        var adopt = false

        @Flag(help: "Drop the messages of the machine's log.")
        var discard = false

        func validate() throws {
            if adopt, discard { throw ValidationError("--adopt and --discard exclude each other") }
        }

        func run() throws {
            let (bus, engine) = try file.settings()
            do {
                let local = try EngineFiles.place(bus)
                try EngineFiles.requireStopped(bus)
                let known = EngineMembership.read(bus)
                let machine = known?.machine ?? String.randomName()
                let members = try EngineAdministration.status(
                    engine.postgresql,
                    schema: engine.schema
                )
                let machineName =
                    name ?? members.machines.first { $0.id == machine }?.name
                    ?? EngineFiles.hostName()
                let isOther = local.map { $0.site != members.site } ?? false
                // An interrupted command is continued, unless there is nothing left to continue.
                let isAdopting =
                    known?.state == .adopting && known?.site == members.site
                    && (local?.head ?? 0) > 0
                if adopt && (isOther || local == nil) || isAdopting && isOther && !discard {
                    try EngineAdoption.run(
                        bus,
                        engine,
                        site: members.site,
                        machineName: machineName,
                        say: { StandardError.write("holdfast: \($0)") }
                    )
                    StandardOutput.writeLine("the history of this machine is that of the site now")
                } else {
                    if adopt, let local, local.messages > 0, try EngineFiles.hasGivenUp(bus) {
                        throw refusal(
                            "join --discard has given up what the log in \(bus.directory) has "
                                + "(\(SiteText.counted(Int(local.messages), "message"))), and the next start drops it; "
                                + "holdfast engine leave keeps it, and join --adopt after that makes it the history of "
                                + "the site, if that has no other"
                        )
                    }
                    if isOther, !discard, let local, local.messages > 0 {
                        let isPart = known?.state == .member || known?.state == .leaving
                        let remedy =
                            if isPart, local.site == nil {
                                "holdfast engine leave keeps them, in a bus of its own"
                            } else if local.site == nil, members.hasNoHistory(butFor: machine) {
                                "--adopt makes them the history of the site, which has no other"
                            } else {
                                "move it away"
                            }
                        throw refusal(
                            "the log in \(bus.directory) has \(SiteText.counted(Int(local.messages), "message")) "
                                + (local.site.map { "of site \($0)" } ?? "of its own")
                                + ", which are not those of the site; \(remedy), or --discard drops them"
                        )
                    }
                    try EngineFiles.join(
                        bus,
                        engine,
                        site: members.site,
                        machine: machine,
                        machineName: machineName
                    )
                    if adopt, known?.state != .adopting {
                        StandardOutput.writeLine(
                            "the log of this machine is the site's already: there is nothing to adopt"
                        )
                    }
                }
                let status = try EngineAdministration.status(
                    engine.postgresql,
                    schema: engine.schema
                )
                let own = EngineMembership.read(bus)
                StandardOutput.write(EngineCommand.text(status, own: own?.machine))
            } catch let error as ExitCode {
                throw error
            } catch JoinError.engine(.adoptsNothing(let sentence)) {
                throw refusal(
                    "\(sentence); join --discard drops what this machine has, and without [engine] it continues as a bus "
                        + "of its own, after holdfast engine leave if the join had begun"
                )
            } catch {
                throw refusal("\(error)")
            }
        }
    }

    /// `holdfast engine status`
    struct Members: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status",
            abstract: "Shows the site, the end of its log, and how far each machine is."
        )

        @OptionGroup var file: EngineFile

        func run() throws {
            let (bus, engine) = try file.settings()
            do throws(EngineError) {
                let status = try EngineAdministration.status(
                    engine.postgresql,
                    schema: engine.schema
                )
                let own = EngineMembership.read(bus)
                StandardOutput.write(EngineCommand.text(status, own: own?.machine))
            } catch {
                throw refusal("\(error)")
            }
        }
    }

    /// `holdfast engine new-epoch`
    struct NewEpoch: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "new-epoch",
            abstract: "Begins a new epoch, so that every subscriber is told of a gap once.",
            discussion: """
                To be run if PostgreSQL and all machines were restored from a backup: then nothing is left that shows the loss. \
                If a machine has more than PostgreSQL, the loss is found without it.
                """
        )

        @OptionGroup var file: EngineFile

        func run() throws {
            let engine = try file.settings().1
            do throws(EngineError) {
                let name = try EngineAdministration.beginEpoch(
                    engine.postgresql,
                    schema: engine.schema
                )
                StandardOutput.writeLine("the site is in epoch \(name) now")
            } catch {
                throw refusal("\(error)")
            }
        }
    }

    /// `holdfast engine leave`
    struct Leave: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes this machine a bus of its own again, or removes one that is gone.",
            discussion: """
                Stop Holdfast on this machine first, and remove [engine] from the ini file afterwards. Its log keeps its \
                messages, and continues in an epoch of its own, so that every subscriber is told of a gap once. If it was \
                interrupted, run it again.
                """
        )

        @OptionGroup var file: EngineFile

        @Option(help: "The id of another machine that does not come back, as status shows it.")
        var machine: String?

        func run() throws {
            let (bus, engine) = try file.settings()
            do {
                let own = EngineMembership.read(bus)
                func dismiss(_ machine: String, of site: String) throws(EngineError) -> Bool {
                    try EngineAdministration.leave(
                        engine.postgresql,
                        schema: engine.schema,
                        site: site,
                        machine: machine
                    )
                }
                if let machine, machine != own?.machine {
                    // Also for a machine that is not, or no longer, part of it, for example after its own attempt to
                    // join was given up.
                    let site =
                        try own?.site
                        ?? EngineAdministration.status(
                            engine.postgresql,
                            schema: engine.schema
                        ).site
                    guard try dismiss(machine, of: site) else {
                        throw refusal("the site has no machine \(machine)")
                    }
                    return StandardOutput.writeLine("\(machine) is no longer part of the site")
                }
                try EngineFiles.requireStopped(bus)
                // The log of a site may have come here without the file, as a copy.
                guard try own != nil || EngineFiles.place(bus)?.site != nil else {
                    throw refusal("this machine is not part of a site")
                }
                try EngineFiles.beginLeaving(bus)
                if let own {
                    do throws(EngineError) {
                        _ = try dismiss(own.machine, of: own.site)
                    } catch {
                        // It may be gone for good.
                        StandardError.write(
                            "holdfast: the site still lists this machine (\(own.machine)): \(error)"
                        )
                    }
                }
                try EngineFiles.leave(bus)
                StandardOutput.writeLine(
                    "this machine is no longer part of the site; remove [engine] from \(file.ini.config)"
                )
            } catch let error as ExitCode {
                throw error
            } catch {
                throw refusal("\(error)")
            }
        }
    }

    fileprivate static func text(_ status: EngineSiteStatus, own: String?) -> String {
        var lines = [
            "site      \(status.name) (\(status.site))",
            "log       group \(status.head.seq), offset \(status.head.offset), epoch \(status.head.epoch), "
                + "last append \(ago(status.head.ageMilliseconds))",
        ]
        if status.backlog.messages > 0 {
            lines.append(
                "outbox    about \(SiteText.counted(Int(status.backlog.messages), "message")) that SQL published and no machine "
                    + "has taken, the oldest of \(ago(status.backlog.milliseconds))"
            )
        }
        for machine in status.machines {
            let name = SiteText.machine(machine.name, machine.id, isOwn: machine.id == own)
            let seconds = Int(machine.seenMillisecondsAgo / 1000)
            lines.append(
                "machine   \(name): last seen \(ago(machine.seenMillisecondsAgo)), "
                    + SiteText.standing(behind: Int(machine.behind), secondsAgo: seconds)
            )
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func ago(_ milliseconds: Int64) -> String {
        SiteText.seen(secondsAgo: Int(milliseconds / 1000))
    }
}

private func refusal(_ sentence: String) -> ExitCode {
    StandardError.write("holdfast: \(sentence)")
    return ExitCode(1)
}

struct EngineFile: ParsableArguments {
    @OptionGroup var ini: IniFileOption

    func settings() throws -> (BusSettings, EngineSettings) {
        let bus = try IniFileReader.read(ini.config, orExit: EX_CONFIG).bus
        guard let engine = bus.engine else {
            StandardError.write("holdfast: \(ini.config) has no section [engine]")
            throw ExitCode(EX_CONFIG)
        }
        return (bus, engine)
    }
}
