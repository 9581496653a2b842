import CLinux
import Glibc
import Testing

@testable import Bus

/// Whether files that are replaced under a running process are noticed, with few system calls.
@Suite struct OpenPathsTests {
    static let names = ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm", "wake"]

    private let temporary = TemporaryDirectory()
    private let directory: BusDirectory

    init() throws {
        directory = try BusDirectory(settings: settings(temporary))
        for name in Self.names { try directory.makeFile("\(directory.path)/\(name)") }
    }

    private func paths(settlingNanoseconds: Int64) throws -> OpenPaths {
        OpenPaths(
            directory,
            directory.files,
            wake: try #require(directory.wake),
            settlingNanoseconds: settlingNanoseconds
        )
    }

    private var changed: Int64? { fileStatus(AT_FDCWD, directory.path)?.changed }

    private func replace(_ name: String) throws {
        let other = "\(directory.path)/other"
        try directory.makeFile(other)
        #expect(rename(other, "\(directory.path)/\(name)") == 0)
    }

    @Test(arguments: names)
    func `a file that is replaced in the same tick of the clock is noticed`(name: String) throws {
        let paths = try paths(settlingNanoseconds: 3_600_000_000_000)
        #expect(paths.check().all)
        try replace(name)
        #expect(!paths.check().all)
        #expect(paths.check().log == (name == "wake"))
    }

    @Test(arguments: names)
    func `a file that is replaced in a directory that has settled is noticed`(name: String) throws {
        let paths = try paths(settlingNanoseconds: -1_000_000_000)
        #expect(paths.check().all)
        // Until the file system's clock has moved on.
        let before = changed
        while changed == before {
            let other = "\(directory.path)/other"
            try directory.makeFile(other)
            unlink(other)
        }
        #expect(paths.check().all)
        let settled = changed
        while changed == settled { try replace(name) }
        #expect(!paths.check().all)
        #expect(!paths.checkAll().all)
    }

    @Test func `a directory that is moved away is noticed`() throws {
        let paths = try paths(settlingNanoseconds: -1_000_000_000)
        #expect(paths.check().all && paths.checkAll().all)
        let moved = directory.path + ".moved"
        #expect(rename(directory.path, moved) == 0)
        defer { rename(moved, directory.path) }
        #expect(!paths.check().log && !paths.checkAll().log)
    }
}
