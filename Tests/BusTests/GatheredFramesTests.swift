import Foundation
import SeededRandom
import Testing

@testable import Bus

/// Connections that write all frames of a commit at once: what is in the files is what SQLite itself would have put there.
@Suite struct GatheredFramesTests {
    private static let page = 1024
    private static let frame = page + 24

    private struct Log {
        let path: String
        private let directory: TemporaryDirectory
        let database: Database
        private let begin: PreparedStatement
        private let commit: PreparedStatement

        init(
            _ directory: TemporaryDirectory,
            _ name: String = "log.sqlite",
            gathers: Bool = true,
            cachePages: Int = 2000
        ) throws {
            self.directory = directory
            path = directory.path + "/" + name
            database = try Database(path: path, .create, gathersFrames: gathers)
            try database.leaveWriteAheadLogOnClosing()
            try database.execute(
                """
                PRAGMA page_size = \(GatheredFramesTests.page);
                PRAGMA journal_mode = WAL;
                PRAGMA wal_autocheckpoint = 0;
                -- No fsync writes what the commit has left.
                PRAGMA synchronous = NORMAL;
                PRAGMA cache_size = \(cachePages);
                """
            )
            database.countWriteAheadFrames()
            begin = try PreparedStatement(database, "BEGIN IMMEDIATE")
            commit = try PreparedStatement(database, "COMMIT")
            try change("CREATE TABLE a (x BLOB)", "CREATE TABLE b (x BLOB)")
            try change("CREATE TABLE c (x BLOB)")
        }

        /// In one transaction.
        func change(_ statements: String...) throws { try change(statements) }

        func change(_ statements: [String]) throws {
            try begin.run()
            do {
                for statement in statements { try database.execute(statement) }
                try database.commit(commit)
            } catch {
                if database.isInsideTransaction { try database.execute("ROLLBACK") }
                throw error
            }
        }

        func insert(_ text: String) throws {
            try change(["a", "b", "c"].map { "INSERT INTO \($0) VALUES ('\(text)')" })
        }

        var frames: Int { database.writeAheadFrames }
    }

    /// The content of the files for a program that opens them: what was inserted, in order.
    private func content(_ path: String) throws -> String {
        let database = try Database(path: path, .readWrite)
        try database.leaveWriteAheadLogOnClosing()
        #expect(try database.fetchText("PRAGMA integrity_check") == "ok")
        let texts = try ["a", "b", "c"].map {
            try database.fetchText(
                "SELECT group_concat(x) FROM (SELECT x FROM \($0) ORDER BY rowid)"
            )
        }
        #expect(Set(texts).count == 1)
        return (texts.first ?? "").flatMap { $0 } ?? ""
    }

    /// What a process finds that opens the log after all others were killed now.
    private func contentAfterKill(_ path: String, _ directory: TemporaryDirectory) throws -> String
    {
        let copy = directory.path + "/\(UUID()).sqlite"
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix)
        }
        return try content(copy)
    }

    @Test func `a commit writes its frames by one call`() throws {
        let log = try Log(TemporaryDirectory())
        try log.insert("1")
        let before = log.frames
        let writes = try WriteInterception.writes(during: { try log.insert("2") })
        #expect(log.frames == before + 3)
        #expect(writes.map(\.bytes) == [3 * Self.frame])
        #expect(writes.map(\.offset) == [32 + before * Self.frame])
        #expect(try content(log.path) == "1,2")
    }

    @Test func `a connection that does not gather writes each frame in two pieces`() throws {
        let log = try Log(TemporaryDirectory(), gathers: false)
        try log.insert("1")
        let writes = try WriteInterception.writes(during: { try log.insert("2") })
        #expect(writes.map(\.bytes) == [24, Self.page, 24, Self.page, 24, Self.page])
    }

    /// Page number, size of the database and page of each frame: the rest are random numbers and sums.
    private func frames(_ path: String) throws -> [Data] {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path + "-wal"))
        return stride(from: 32, to: bytes.count, by: Self.frame).map {
            bytes[$0..<$0 + 8] + bytes[$0 + 24..<$0 + Self.frame]
        }
    }

    /// Few pages of cache: SQLite writes frames before the commit, some of them twice.
    @Test(arguments: [2000, 5])
    func `the write-ahead log is that of a connection that does not gather`(cachePages: Int) throws
    {
        let directory = TemporaryDirectory()
        let logs = try [
            Log(directory, "gathered.sqlite", cachePages: cachePages),
            Log(directory, "plain.sqlite", gathers: false, cachePages: cachePages),
        ]
        var random = SplitMix64(seed: 7)
        for round in 0..<60 {
            // The longest have more frames than are gathered at once.
            let longest = round % 20 == 19 ? 300_000 : 3000
            let statements = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                let table = ["a", "b", "c"].randomElement(using: &random)!
                let length = Int.random(in: 0...longest, using: &random)
                return switch Int.random(in: 0..<4, using: &random) {
                case 0: "DELETE FROM \(table) WHERE rowid % 3 = \(round % 3)"
                case 1: "UPDATE \(table) SET x = zeroblob(\(length)) WHERE rowid = \(round)"
                default: "INSERT INTO \(table) VALUES (zeroblob(\(length)) || \(round))"
                }
            }
            for log in logs {
                try log.change(statements)
                if round == 40 { #expect(try log.database.checkpoint(.restart).isDone) }
            }
            let (gathered, plain) = (try frames(logs[0].path), try frames(logs[1].path))
            #expect(gathered.count == plain.count && gathered == plain, "after round \(round)")
        }
        for log in logs {
            #expect(try log.database.fetchText("PRAGMA integrity_check") == "ok")
        }
    }

    enum Refusal: CaseIterable {
        case fullDisk, fullDiskHalfWay, errorHalfWay

        var isFull: Bool { self != .errorHalfWay }
        var code: Int32 { isFull ? ENOSPC : EIO }
    }

    @Test(arguments: Refusal.allCases)
    func `a write that fails fails the commit, and the next one takes its place`(_ refusal: Refusal)
        throws
    {
        let directory = TemporaryDirectory()
        let log = try Log(directory)
        try log.insert("1")
        for length in refusal == .fullDisk ? [0] : [1, 24, Self.frame, 3 * Self.frame - 1] {
            var failure: LogError?
            _ = WriteInterception.writes(
                during: {
                    do throws(any Error) { try log.insert("lost") } catch {
                        failure = error as? LogError
                    }
                },
                decide: { _ in .cut(length, errno: refusal.code) }
            )
            let error = try #require(failure)
            #expect(error.isFull == refusal.isFull)
            guard case .database(let details) = error else {
                Issue.record("\(error)")
                return
            }
            // A full disk is told by SQLite's own code.
            #expect(details.systemError == (refusal.isFull ? 0 : EIO))
            #expect(try content(log.path) == "1")
            #expect(try contentAfterKill(log.path, directory) == "1")
        }
        let writes = try WriteInterception.writes(during: { try log.insert("2") })
        #expect(writes.map(\.bytes) == [3 * Self.frame])
        #expect(try content(log.path) == "1,2")
        #expect(try contentAfterKill(log.path, directory) == "1,2")
    }

    @Test func `a process that is killed while it writes leaves all of a commit or nothing`() throws
    {
        let directory = TemporaryDirectory()
        let log = try Log(directory)
        try log.insert("1")
        let whole = 3 * Self.frame
        let cuts = [1, 23, 24, 25, Self.frame, Self.frame + 24, 2 * Self.frame, whole - 1, whole]
        for cut in cuts {
            let expected = cut == whole ? "1,2" : "1"
            let writes = WriteInterception.writes(
                during: { try? log.insert("2") },
                decide: { _ in .cut(cut, errno: EIO) }
            )
            #expect(writes.first?.bytes == whole)
            let found = try contentAfterKill(log.path, directory)
            #expect(found == expected, "after \(cut) bytes")
        }
    }

    @Test func `two connections that gather take turns`() throws {
        let directory = TemporaryDirectory()
        let first = try Log(directory)
        try first.insert("1")
        let second = try Database(path: first.path, .readWrite, gathersFrames: true)
        try second.leaveWriteAheadLogOnClosing()
        let begin = try PreparedStatement(second, "BEGIN IMMEDIATE")
        let commit = try PreparedStatement(second, "COMMIT")
        var expected = ["1"]
        for number in 2..<40 {
            if number % 2 == 0 {
                try begin.run()
                for table in ["a", "b", "c"] {
                    try second.execute("INSERT INTO \(table) VALUES ('\(number)')")
                }
                try second.commit(commit)
            } else {
                try first.insert("\(number)")
            }
            expected.append("\(number)")
            if number % 10 == 0 {
                #expect(try first.database.checkpoint(.restart).isDone)
            }
            #expect(try content(first.path) == expected.joined(separator: ","))
        }
    }
}
