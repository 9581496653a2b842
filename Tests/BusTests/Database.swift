import Channels
import Foundation
import GRDB

@testable import Bus

func makeForeignDatabase(_ path: String) throws {
    let queue = try DatabaseQueue(path: path)
    try queue.write { try $0.execute(sql: "CREATE TABLE recipes (name TEXT)") }
    try queue.close()
}

/// What SQLite says about the file's structure, "ok" if all is well.
func integrity(_ directory: String) throws -> String {
    let queue = try DatabaseQueue(path: directory + "/log.sqlite")
    return try queue.read { try String.fetchOne($0, sql: "PRAGMA integrity_check") ?? "" }
}

/// Changes a log that no process has open.
func execute(_ sql: String, _ directory: String) throws {
    let queue = try DatabaseQueue(path: directory + "/log.sqlite")
    try queue.write { try $0.execute(sql: sql) }
    try queue.close()
}

func rowCount(_ table: String, _ directory: String) throws -> Int {
    var configuration = Configuration()
    configuration.readonly = true
    let queue = try DatabaseQueue(path: directory + "/log.sqlite", configuration: configuration)
    return try queue.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM \(table)") ?? -1 }
}

/// All of the log, as another process is told it.
func follow(_ directory: String, _ epochs: EpochHistory) throws -> [CommittedBatch] {
    let queue = try DatabaseQueue(path: directory + "/log.sqlite")
    return try queue.write { database in
        let reading = try LogReading(database)
        var batches: [CommittedBatch] = []
        let state = try reading.state()
        try reading.follow(after: 0, stamp: 0, upTo: state, epochs: epochs) { batches.append($0) }
        return batches
    }
}

/// Whether the counts that trimming goes by agree with the messages that are there.
func countsAgree(_ directory: String) throws -> Bool {
    let queue = try DatabaseQueue(path: directory + "/log.sqlite")
    return try queue.read { database in
        let wrong = try Int.fetchOne(
            database,
            sql: """
                SELECT count(*) FROM channels c WHERE
                    count != (SELECT count(*) FROM messages WHERE channel = c.id)
                    OR bytes != (SELECT ifnull(sum(length(body)), 0) FROM messages WHERE channel = c.id)
                """
        )
        let totals = try Int.fetchOne(
            database,
            sql: """
                SELECT count(*) FROM state WHERE
                    messages = (SELECT count(*) FROM messages)
                    AND channels = (SELECT count(*) FROM channels)
                """
        )
        return wrong == 0 && totals == 1
    }
}
