internal import Foundation
import Harness
import Testing

@Suite struct ScriptTests {
    /// Some built everything first.
    @Test func `every script says what it does, at once`() throws {
        let directory = try TestDirectory()
        let scripts = "\(Place.root)/scripts"
        let names = try FileManager.default.contentsOfDirectory(atPath: scripts).sorted().filter {
            var isDirectory: ObjCBool = false
            let path = "\(scripts)/\($0)"
            return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
                && !isDirectory.boolValue && FileManager.default.isExecutableFile(atPath: path)
        }
        #expect(names.count >= 8)
        for name in names {
            // Without a PATH on which there is anything to build, install or measure with.
            let outcome = try ChildProcess.run(
                "/usr/bin/env",
                [
                    "-i", "PATH=/usr/bin:/bin", "HOME=\(directory.path)", "\(scripts)/\(name)",
                    "--help",
                ],
                directory: directory
            )
            let text = String(decoding: outcome.output, as: UTF8.self)
            #expect(outcome.exit == .exited(0), "\(name): \(outcome.error)")
            #expect(text.contains("scripts/\(name)"), "\(name): \(text)")
        }
    }
}
