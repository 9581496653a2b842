import Harness
import Testing

/// The man pages in conf/man, and the same in Markdown in conf/doc/man.
@Suite(.enabled(if: Tool.usable(.mandoc, .python), "mandoc or python3 is not installed"))
struct ManualPageTests {
    @Test func `the man pages are what scripts/manual makes of their sources`() throws {
        let run = try ChildProcess.run(
            "\(Place.root)/scripts/manual",
            ["--check", "--holdfast", try Place.holdfast],
            directory: try TestDirectory()
        )
        let difference = String(decoding: run.output, as: UTF8.self)
        #expect(run.exit == .exited(0), "\(run.error)\(difference.prefix(4000))")
    }
}
