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
        case .restart(let anchor):
            try transaction.restart(at: anchor, of: site, table)
            try tellAnew(transaction.state, time)
            result = .isAt(anchor.position)
        case .rewind(let seq):
            guard let (head, common) = try table.head(at: seq) else {
                result = .contradiction
                return
            }
            try transaction.rewind(to: head, table)
            try table.forget(above: seq)
            try table.move(to: common, of: site, head: head)
            try tellAnew(transaction.state, time)
            result = .isAt(common)
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
        let epoch = (reopened?.state.epochs ?? opened.epochs).current
        var messages: [Message] = []
        var newest: EnginePosition?
        stretch: for group in groups {
            if newest != nil, transaction.hasManyChannels { break stretch }
            switch group.content {
            case .epoch(let next):
                // It has a turn of its own, since all events after it are new.
                if newest != nil { break stretch }
                try transaction.adopt(next, table)
                try tellAnew(transaction.state, time)
                newest = group.position
                break stretch
            case .records(let records):
                guard group.base == transaction.state.head + 1 else {
                    if newest == nil {
                        result = .contradiction
                        return
                    }
                    break stretch
                }
                try transaction.apply(records, of: group, epoch: epoch, into: &messages, table)
            case .unknown: transaction.state.head += Int64(group.count)
            }
            newest = group.position
        }
        guard let newest else { return }
        try table.move(to: newest, of: site, head: transaction.state.head)
        result = .isAt(newest)
        report(messages, of: transaction, after: previous)
    }
}
