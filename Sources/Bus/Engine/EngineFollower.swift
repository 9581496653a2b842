import Channels
import Engine
import Liveness
import Synchronization
import System

/// The thread that applies what the engine commits for its machine, in the process that has the lock `apply`.
///
/// It follows by number: a notification is only a hint, and each second it asks for everything. What the writer cannot
/// take is tried again; the engine keeps its groups meanwhile.
final class EngineFollower {
    private static let answerMilliseconds: Int64 = 2000
    private static let lookMilliseconds: Int64 = 1000
    private static let tendMilliseconds: Int64 = 5000
    private static let rollMilliseconds: Int64 = 5000
    /// How many messages that SQL published one group takes.
    private static let outboxPortion = 256

    private let shared: LogShared
    private let link: EngineLink
    /// Ends the wait for a notification.
    private let bell: Mailbox<Bool>?
    private var attachment = EngineLink.Attachment()
    private var nextTending: Int64 = 0
    private var nextLook: Int64 = 0
    private var nextRoll: Int64 = 0
    private var roll = RollCall()
    private var twin = TwinWatch()
    /// What was last noted in the engine.
    private var tended: Int64 = -1
    /// Where the log was when its loss was last reported.
    private var told: EnginePosition?

    init(_ shared: LogShared, _ link: EngineLink, bell: Mailbox<Bool>?) {
        (self.shared, self.link, self.bell) = (shared, link, bell)
    }

    private var isStopping: Bool { shared.stopping.load(ordering: .acquiring) }

    private var deadline: Int64 { MonotonicClock.milliseconds() + Self.answerMilliseconds }

    func run() {
        link.beginsFollowing()
        while !isStopping {
            do throws(EngineError) {
                let session = try link.connect(
                    &attachment,
                    readsLong: true,
                    deadline: deadline
                )
                try session.listen(deadline: deadline)
                // Another process may have applied entries that this one does not know of.
                let positions: [EnginePosition] =
                    if case .positions(let positions, _) = work(.list) { positions } else { [] }
                link.foundPlace(positions.first)
                try follow(session)
            } catch {
                if !isStopping, link.note("\(error)", of: .following, shared) {
                    shared.say(
                        "what other machines publish does not arrive, because the engine fails: \(error); "
                            + "subscribers get what this machine has",
                        .error
                    )
                }
                pause(1000)
            }
        }
    }

    private func pause(_ milliseconds: Int64) {
        let end = MonotonicClock.milliseconds() + milliseconds
        while !isStopping, MonotonicClock.milliseconds() < end {
            MonotonicClock.sleep(milliseconds: min(50, milliseconds))
        }
    }

    /// Until the connection breaks or the process stops.
    private func follow(_ session: EngineSession) throws(EngineError) {
        // What was not seen meanwhile proves nothing.
        (roll, nextRoll) = (RollCall(), 0)
        // SQL may have published something before this session listened.
        var hasOutbox = true
        // All entries behind a position, as they came with hints.
        var hinted: (groups: [EngineGroup], after: EnginePosition)?
        while !isStopping {
            let known = hinted
            hinted = nil
            if known == nil, session.skipHints() { hasOutbox = true }
            guard let position = link.position else {
                try begin(session)
                continue
            }
            try callRoll(session)
            do throws(EngineError) {
                let portion =
                    if let known, known.after == position {
                        EngineSession.Portion(known.groups)
                    } else {
                        try session.read(
                            after: position,
                            bytes: 1 << 20,
                            groups: 256,
                            deadline: deadline
                        )
                    }
                told = nil
                link.read(portion.groups)
                guard try apply(portion.groups, after: position, session) else {
                    // The entries are here all the same.
                    _ = try tend(session, position)
                    continue
                }
                if link.note(nil, of: .following, shared) {
                    shared.say("what other machines publish arrives again", .notice)
                }
                guard let reached = link.position else { continue }
                // Once a second everything is asked for, whatever hints say.
                let isTime = try tend(session, reached)
                // Only now: while nothing can be appended, entries still arrive.
                if isTime || hasOutbox { hasOutbox = try takeOutbox(session, reached) }
                // Not if another process has gone on from elsewhere.
                let isLevel =
                    portion.isAll && reached == portion.groups.last?.position ?? position
                if isLevel { link.read([]) }
                let pause = isLevel && !hasOutbox ? Self.lookMilliseconds : 0
                let hint = try session.waitForHint(
                    after: reached,
                    deadline: MonotonicClock.milliseconds() + pause,
                    wakesOn: bell?.descriptor ?? -1
                )
                if hint.hasOutbox { hasOutbox = true }
                if isLevel, !isTime, !hint.mayHaveMore { hinted = (hint.groups, reached) }
            } catch .away {
                try startOver(session)
            } catch .forked {
                try resolve(session)
            }
        }
    }

    /// Whether the log has taken these entries, or others in their place.
    private func apply(
        _ groups: [EngineGroup],
        after position: EnginePosition,
        _ session: EngineSession
    ) throws(EngineError) -> Bool {
        guard !groups.isEmpty else { return true }
        switch work(.apply(groups, after: position)) {
        case .isAt(let reached): link.applied(groups, through: reached)
        case .contradiction:
            shared.say(
                "the log's offsets are not those of the engine: it begins anew where the engine's groups begin",
                .error
            )
            try restart(session)
        case .positions, .lack, .failed:
            // Stopping does not wait for the writer.
            if isStopping { return false }
            let problem = "the log of this machine does not take what other machines publish"
            if link.note(problem, of: .following, shared) {
                shared.say("\(problem); trying again each second", .error)
            }
            pause(1000)
            return false
        }
        return true
    }

    /// Appends what SQL published; returns whether there was something, so that there may be more.
    private func takeOutbox(
        _ session: EngineSession,
        _ position: EnginePosition
    ) throws(EngineError) -> Bool {
        guard try session.look(deadline: deadline).hasOutbox else { return false }
        _ = try session.append(
            gid: EngineSession.newGroupID(),
            known: position,
            parts: [],
            fromOutbox: Self.outboxPortion,
            deadline: deadline
        )
        return true
    }

    /// Notes from time to time how far this machine is; returns whether that was due, so that everything is asked for.
    private func tend(
        _ session: EngineSession,
        _ position: EnginePosition
    ) throws(EngineError) -> Bool {
        let now = MonotonicClock.milliseconds()
        guard now >= nextLook else { return false }
        nextLook = now + Self.lookMilliseconds
        if position.seq != tended || now >= nextTending {
            (nextTending, tended) = (now + Self.tendMilliseconds, position.seq)
            let former = try session.tend(
                applied: position.seq,
                by: twin.own,
                deadline: deadline
            )
            if twin.reported(after: former, now: now), let machine = link.identity?.machine {
                sayTwin(machine)
            }
        }
        return true
    }

    private func sayTwin(_ machine: String) {
        let directory = shared.settings.directory
        shared.say(
            "another Holdfast follows the site as this machine (\(machine)), perhaps on a copy of its disk: each reports "
                + "that the other's members have left. On the copy, stop Holdfast, remove \(directory)/engine, and run "
                + "holdfast engine join",
            .error
        )
    }

    /// Tells this process which machines are present, and the others what this machine's log may lack.
    private func callRoll(_ session: EngineSession) throws(EngineError) {
        let now = MonotonicClock.milliseconds()
        guard now >= nextRoll, let identity = link.identity else { return }
        nextRoll = now + Self.rollMilliseconds
        guard case .lack(let lacking) = work(.lack) else { return }
        let entries = try session.callRoll(lacking: lacking.value, deadline: deadline)
        let own = EngineMembership.id(of: identity.machine)
        var seen: [MachineID: Int64] = [:]
        var lacks: [MachineID: Offset] = [:]
        for entry in entries {
            let machine = EngineMembership.id(of: entry.machine)
            (seen[machine], lacks[machine]) = (entry.seen, Offset(entry.lacking))
        }
        var present: [MachineID: Offset] = [:]
        for machine in roll.present(seen, own: own) { present[machine] = lacks[machine] ?? .start }
        link.tell(of: SiteMachines(own: own, present: present), shared)
    }

    // MARK: Beginnings

    /// Drops the local log, which then begins where the engine's groups begin.
    private func restart(_ session: EngineSession) throws(EngineError) {
        let anchor = try session.anchor(deadline: deadline)
        guard case .isAt = work(.restart(anchor)) else { return pause(1000) }
        link.count { $0.restarts += 1 }
    }

    /// The log has nothing of the site yet.
    private func begin(_ session: EngineSession) throws(EngineError) {
        let anchor = try session.anchor(deadline: deadline)
        guard case .isAt = work(.begin(anchor)) else { return pause(1000) }
    }

    /// The following groups are no longer kept. Only the epochs show whether the local log is part of what was before.
    private func startOver(_ session: EngineSession) throws(EngineError) {
        guard case .positions(_, let end) = work(.list) else { return pause(1000) }
        let anchor = try session.anchor(deadline: deadline)
        if anchor.contradicts(end.epoch, head: end.head) {
            try tell(.inEpoch(end.epoch.name), end, session)
        }
        shared.say(
            "this machine was away for longer than the engine keeps groups: its log begins anew, and "
                + "subscribers that missed something are told of the gap",
            .warning
        )
        try restart(session)
    }

    /// Reports a loss to all readers; once, although what follows may have to be tried again.
    private func tell(
        _ loss: EngineSession.Loss,
        _ end: EngineEnd,
        _ session: EngineSession
    ) throws(EngineError) {
        // Nothing was here that could be lost.
        guard end.head > 0, link.position != told else { return }
        try session.fork(loss, newest: end.newest ?? .max, deadline: deadline)
        told = link.position
        shared.say(
            "the engine has lost messages that this machine has, by a failover or a restore, for example: they are removed here, "
                + "and subscribers are told of the gap",
            .error
        )
    }

    /// The engine lacks entries that are here: goes back to the newest entry that both have, and tells all readers.
    private func resolve(_ session: EngineSession) throws(EngineError) {
        guard case .positions(let positions, let end) = work(.list) else { return pause(1000) }
        let common = try session.common(positions, deadline: deadline)
        let loss = common.map { EngineSession.Loss.after($0) } ?? .inEpoch(end.epoch.name)
        try tell(loss, end, session)
        guard let common else { return try restart(session) }
        switch work(.rewind(common)) {
        case .isAt: break
        case .contradiction: try restart(session)
        // Nothing is dropped because a disk is full, or because this process ends.
        case .positions, .lack, .failed: pause(1000)
        }
    }

    /// Waits for the writer.
    private func work(_ work: EngineWork) -> EngineResult {
        guard !isStopping else { return .failed }
        _ = link.results.take(waitingMilliseconds: 0)
        shared.writerBox.post(.engine(work))
        while !isStopping {
            if let result = link.results.take(waitingMilliseconds: 200).last { return result }
        }
        return .failed
    }
}
