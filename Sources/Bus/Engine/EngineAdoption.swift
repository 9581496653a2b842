package import Channels
package import Engine
import System
import Text

/// How a machine that was a bus of its own brings its history into a site that has none: every cursor of its clients
/// keeps its meaning, there and on the machines that follow.
///
/// The process may be killed between any two of these steps; all of them are repeated then, or, after the third, a join
/// ends them:
/// 1. The file `engine` says that the site is about to adopt the history, under this machine's id. From now on no
///    process serves the log with `[engine]`. Then the log is opened as without `[engine]`, which begins an epoch if
///    something may be missing at its end; when all of it is on the disk, the file says where it ends. A repetition
///    uses the same history, also after a loss of power: other machines may have begun with it meanwhile.
/// 2. The site has the history; it returns the same place for the same history.
/// 3. The log has its place in the site's.
/// 4. The file `engine` says that the machine is a member.
package enum EngineAdoption {
    /// All steps.
    ///
    /// - Parameter say: gets what is to be reported of the log.
    package static func run(
        _ settings: BusSettings,
        _ engine: EngineSettings,
        site: String,
        machineName: String,
        say: @escaping @Sendable (String) -> Void
    ) throws(JoinError) {
        let before = EngineMembership.read(settings)
        let machine = before?.machine ?? String.randomName()
        let history = try JoinError.ofLog { () throws(LogError) in
            try requireLogOfItsOwn(settings, before, site: site)
            return try begin(settings, site: site, machine: machine, say: say)
        }
        let position = try JoinError.ofSite(settings, before: before) { () throws(EngineError) in
            try EngineAdministration.adopt(
                engine.postgresql,
                schema: engine.schema,
                site: site,
                machine: machine,
                machineName: machineName,
                history: history
            )
        }
        try JoinError.ofLog { () throws(LogError) in
            try attach(settings, history, at: position, of: site)
            try EngineMembership(site: site, machine: machine).write(settings)
        }
    }

    /// That there is a log to adopt, which is no site's.
    private static func requireLogOfItsOwn(
        _ settings: BusSettings,
        _ before: EngineMembership?,
        site: String
    ) throws(LogError) {
        guard let local = try EngineFiles.place(settings), local.head > 0 else {
            throw LogError.problem(
                "the log in \(settings.directory) never had a message, so there is nothing to adopt; join without --adopt"
            )
        }
        if let other = local.site {
            throw LogError.problem(
                "the log in \(settings.directory) is of site \(other), and continues nowhere else"
            )
        }
        if let before, before.site == site, [.member, .leaving].contains(before.state) {
            throw LogError.problem(
                "this machine is part of the site already, without the log in \(settings.directory); "
                    + "holdfast engine leave comes first"
            )
        }
    }

    /// The first step: the history that the site is to adopt.
    package static func begin(
        _ settings: BusSettings,
        site: String,
        machine: String,
        say: @escaping @Sendable (String) -> Void
    ) throws(LogError) -> EngineHistory {
        var membership = EngineMembership(site: site, machine: machine, state: .adopting)
        if let before = EngineMembership.read(settings), before.state == .adopting,
            before.site == site, let end = before.history,
            let database = try EngineFiles.openLog(settings, .readOnly)
        {
            let history = try history(in: LogQueries(database))
            if history.end == end { return history }
        }
        try membership.write(settings)
        let history = try history(settings, say: say)
        membership.history = history.end
        try membership.write(settings)
        return history
    }

    /// The history of a log that is opened as without `[engine]`; all of it is on the disk.
    package static func history(
        _ settings: BusSettings,
        say: @escaping @Sendable (String) -> Void
    ) throws(LogError) -> EngineHistory {
        var alone = settings
        alone.engine = nil
        let shared = LogFiles.unserved(alone) { events in
            for case .notice(let sentence, _) in events { say(sentence) }
        }
        let database = try OpenLog.open(shared, suspect: false).database
        let history = try database.read { () throws(LogError) in
            try Self.history(in: database.queries)
        }
        // With it the newest commits are on the disk, whatever [bus] durability says.
        guard try database.checkpoint(.truncate).isComplete else {
            throw LogError.problem("another program reads the log in \(settings.directory)")
        }
        return history
    }

    private static func history(in queries: LogQueries) throws(LogError) -> EngineHistory {
        EngineHistory(
            head: try queries.state().head,
            epochs: try queries.epochs()?.stretches.map {
                EngineEpoch(epoch: $0.epoch, start: $0.start.value, told: $0.told?.value)
            } ?? []
        )
    }

    /// The third step: gives the log its place in the site's, if it still has this history.
    package static func attach(
        _ settings: BusSettings,
        _ history: EngineHistory,
        at position: EnginePosition,
        of site: String
    ) throws(LogError) {
        var isSame = false
        try EngineFiles.change(settings) { database throws(LogError) in
            isSame = try Self.history(in: LogQueries(database)) == history
            guard isSame else { return }
            try EngineTable(database).move(to: position, of: site, head: history.head)
            try LogSchema.mark(ofSite: true, database)
        }
        guard isSame else {
            throw LogError.problem(
                "the log has changed meanwhile; stop all processes of Holdfast on this machine, and join again"
            )
        }
    }
}

extension EngineHistory {
    /// The history's end. No other history has this end, since the names of epochs are random.
    fileprivate var end: Cursor? {
        epochs.last.map { Cursor(epoch: $0.epoch, offset: Offset(head)) }
    }
}
