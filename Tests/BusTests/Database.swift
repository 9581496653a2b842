import Channels
import Engine
import Glibc

@testable import Bus

func makeForeignDatabase(_ path: String) throws {
    try Database(path: path, .create).execute("CREATE TABLE recipes (name TEXT)")
}

/// What SQLite says about the file's structure, "ok" if all is well.
func integrity(_ directory: String) throws -> String {
    try opened(directory).fetchText("PRAGMA integrity_check") ?? ""
}

/// Changes the log, even while other programs have it open.
func execute(_ sql: String, _ directory: String) throws {
    try opened(directory).execute(sql)
}

/// Keeps everybody from writing to the log, as another program may; ends with what is returned.
func lockForWriting(_ directory: String) throws -> () throws -> Void {
    let database = try opened(directory)
    try database.execute("BEGIN IMMEDIATE")
    return { try database.execute("COMMIT") }
}

func rowCount(_ table: String, _ directory: String) throws -> Int {
    try opened(directory, .readOnly).fetchInteger("SELECT count(*) FROM \(table)").map { Int($0) }
        ?? -1
}

/// All of the log, as another process is told it.
func follow(_ directory: String, _ epochs: EpochHistory) throws -> [CommittedBatch] {
    let database = try opened(directory)
    let reading = try LogQueries(database)
    var batches: [CommittedBatch] = []
    try database.inTransaction { () throws(LogError) in
        let state = try reading.state()
        try reading.follow(after: LogShared.Position(), upTo: state, epochs: epochs) {
            batches.append($0)
        }
    }
    return batches
}

/// Whether the counts that trimming goes by agree with the messages that are there.
func countsAgree(_ directory: String) throws -> Bool {
    let database = try opened(directory)
    let wrong = try database.fetchInteger(
        """
        SELECT count(*) FROM channels c WHERE
            count != (SELECT count(*) FROM messages WHERE channel = c.id)
            OR bytes != (SELECT ifnull(sum(length(body)), 0) FROM messages WHERE channel = c.id)
        """
    )
    let totals = try database.fetchInteger(
        """
        SELECT count(*) FROM state WHERE
            messages = (SELECT count(*) FROM messages)
            AND channels = (SELECT count(*) FROM channels)
        """
    )
    return wrong == 0 && totals == 1
}

private func opened(_ directory: String, _ access: Database.Access = .readWrite) throws -> Database
{
    let database = try Database(path: directory + "/log.sqlite", access)
    database.waitForLocks(milliseconds: 60_000)
    return database
}

func integer(_ sql: String, _ directory: String) throws -> Int64? {
    try opened(directory, .readOnly).fetchInteger(sql)
}

/// Where the log is in its site's, and what it remembers of the way there, newest first; empty: it is of no site.
func enginePositions(_ directory: String) throws -> [EnginePosition] {
    guard access(directory + "/log.sqlite", F_OK) == 0 else { return [] }
    let database = try opened(directory, .readOnly)
    guard try EngineTable.isUsed(in: database) else { return [] }
    return try EngineTable(database).positions()
}

/// Number and chain of hashes of the newest entry of its site's log that is here.
func enginePlace(_ directory: String) throws -> String? {
    try opened(directory, .readOnly).fetchText("SELECT seq || ' ' || lower(hex(chain)) FROM engine")
}
