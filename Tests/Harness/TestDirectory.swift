internal import Foundation

/// A directory of one test's own, gone with its last reference; kept, and named on standard error, when
/// HOLDFAST_KEEP is set.
package final class TestDirectory {
    package let path: String

    package init() throws {
        let parent = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        // Short: the path of a Unix socket has at most 107 bytes.
        var template = Array("\(parent)/holdfast-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessError.system("mkdtemp in \(parent)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // The web servers' workers run as another user when the tests run as root.
        chmod(path, 0o755)
    }

    deinit {
        if ProcessInfo.processInfo.environment["HOLDFAST_KEEP"] == nil {
            try? FileManager.default.removeItem(atPath: path)
        } else {
            FileHandle.standardError.write(Data("kept: \(path)\n".utf8))
        }
    }

    package func file(_ name: String) -> String { "\(path)/\(name)" }

    @discardableResult
    package func write(_ text: String, to name: String) throws -> String {
        let file = file(name)
        guard FileManager.default.createFile(atPath: file, contents: Data(text.utf8)) else {
            throw HarnessError("cannot write \(file)")
        }
        return file
    }

    @discardableResult
    package func makeDirectory(_ name: String, mode: UInt32 = 0o755) throws -> String {
        let directory = file(name)
        guard mkdir(directory, mode) == 0 || errno == EEXIST else {
            throw HarnessError.system("mkdir \(directory)")
        }
        chmod(directory, mode)
        return directory
    }
}

/// Reading files as tests need it: a file that is not there is empty.
package enum Files {
    package static func text(_ path: String) -> String {
        String(decoding: bytes(path), as: UTF8.self)
    }

    package static func bytes(_ path: String) -> [UInt8] {
        FileManager.default.contents(atPath: path).map { [UInt8]($0) } ?? []
    }

    package static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: path)
    }

    package static func names(in directory: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    }

    package static func makeDirectory(_ path: String) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    package static func remove(_ path: String) throws {
        try FileManager.default.removeItem(atPath: path)
    }
}
