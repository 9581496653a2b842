import Channels
import Engine

/// A turn of the writer in which the engine's log is applied.
extension WriterTurn {
    /// Inside the transaction.
    mutating func perform(
        _ work: EngineWork,
        _ transaction: inout WriteTransaction,
        _ opened: LogShared.Opened,
        _ time: LogTime
    ) throws(LogError) {
        guard let table = open.database.engine, let place = try table.place(),
            let position = place.position
        else {
            throw LogError.problem("the log is not part of a site")
        }
        let site = place.site
        switch work {
        case .list, .lack, .begin: break
        case .restart(let anchor, let groups):
            try transaction.restart(at: anchor, of: site, table)
            try goOn(groups, after: anchor.position, site, &transaction, table)
            try tellAnew(transaction.state, time)
        case .rewind(let seq, let groups):
            guard let (head, common) = try table.head(at: seq) else {
                result = .contradiction
                return
            }
            try transaction.rewind(to: head, table)
            try table.forget(above: seq)
            try table.move(to: common, of: site, head: head)
            try goOn(groups, after: common, site, &transaction, table)
            try tellAnew(transaction.state, time)
        case .apply(let groups, let after):
            guard position == after else {
                // Another process has applied meanwhile.
                result = .isAt(position)
                return
            }
            try apply(groups, site, &transaction, opened, table, time)
        }
    }

    private mutating func apply(
        _ groups: [EngineGroup],
        _ site: String,
        _ transaction: inout WriteTransaction,
        _ opened: LogShared.Opened,
        _ table: EngineTable,
        _ time: LogTime
    ) throws(LogError) {
        let previous = transaction.state.head
        var epoch = (reopened?.state.epochs ?? opened.epochs).current
        var messages: [Message] = []
        var newest: EnginePosition?
        for group in groups {
            if newest != nil, transaction.hasManyChannels { break }
            if case .epoch = group.content {
                // It has a turn of its own, since all events after it are new.
                if newest != nil { break }
                _ = try transaction.apply(group, &epoch, into: &messages, table)
                try tellAnew(transaction.state, time)
                newest = group.position
                break
            }
            guard try transaction.apply(group, &epoch, into: &messages, table) else {
                if newest == nil {
                    result = .contradiction
                    return
                }
                break
            }
            newest = group.position
        }
        guard let newest else { return }
        try table.move(to: newest, of: site, head: transaction.state.head)
        result = .isAt(newest)
        report(messages, of: transaction, after: previous)
    }

    /// The log has gone back, and goes on with these entries in the same transaction, so that its readers are told once:
    /// that the log has gone back, and the epoch that tells of the loss, would each be a gap for them.
    private mutating func goOn(
        _ groups: [EngineGroup],
        after position: EnginePosition,
        _ site: String,
        _ transaction: inout WriteTransaction,
        _ table: EngineTable
    ) throws(LogError) {
        result = .isAt(position)
        guard !groups.isEmpty, var epoch = try table.end()?.epoch else { return }
        var reached = position
        for group in groups {
            if reached != position, transaction.hasManyChannels { break }
            // They are told with the state of the log.
            var messages: [Message] = []
            guard try transaction.apply(group, &epoch, into: &messages, table) else { break }
            reached = group.position
        }
        guard reached != position else { return }
        try table.move(to: reached, of: site, head: transaction.state.head)
        result = .isAt(reached)
    }
}
