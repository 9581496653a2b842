import Glibc
import Harness
import Testing

/// The commands of conf/doc/installing.md, from the first to the last, in a copy of the system's directories.
@Suite struct InstallationTests {
    private static var isPossible: Bool {
        Place.isRoot && Tool.cgiFCGI.installed != nil && Tool.isExecutable("/usr/bin/unshare")
            && Tool.isExecutable("/usr/bin/systemd-sysusers")
            && Tool.isExecutable("/usr/bin/systemd-tmpfiles")
    }

    @Test(
        .enabled(
            if: isPossible,
            "not root, or cgi-fcgi, unshare, systemd-sysusers or systemd-tmpfiles is not installed"
        )
    )
    func `installing, upgrading, going back and removing work as the page says`() throws {
        let examples = Documentation.examples(in: "conf/doc/installing.md")
        func commands(_ kind: String) throws -> String {
            try #require(examples.first { $0.kind == "sh \(kind)" }).text
        }
        let directory = try TestDirectory()
        let commands = """
            \(try commands("install"))
            #: publish before the upgrade
            \(try commands("upgrade"))
            #: publish after the upgrade
            #: keep cursor
            #: ask /push/chat?since=first
            echo ==== went back
            \(try commands("go-back"))
            #: publish after going back
            #: ask again
            #: ask /push/chat?since=first
            echo ==== removed
            \(try commands("remove"))
            #: left

            """
        let child = try ChildProcess(
            "/usr/bin/unshare",
            [
                "-m", "sh", "\(Place.root)/Tests/EndToEndTests/Support/installation.sh",
                Place.root, try Place.holdfast, try directory.makeDirectory("system"),
            ],
            name: "installation",
            directory: directory,
            input: .pipe,
            ownGroup: true
        )
        try child.write(commands)
        child.closeInput()
        let exit = try child.wait(seconds: 4 * Deadline.patienceSeconds)
        try #require(exit == .exited(0), "\(child.errorText)\(child.outputText)")
        let said = child.outputText.split(separator: "==== ").map(String.init)
        try #require(said.count == 3)
        #expect(said[0].contains("no problems"))
        #expect(said[0].contains("before the upgrade") && said[0].contains("after the upgrade"))
        // Its reader is told that the newest part is gone.
        #expect(said[1].contains(#""gap":{"reason":"restarted""#), "\(said[1])")
        #expect(said[1].contains("before the upgrade") && said[1].contains("after going back"))
        #expect(!said[1].contains("after the upgrade"))
        let left = said[2].split(separator: "\n").dropFirst()
        #expect(left.count == 1 && left.last?.hasSuffix("-before.sqlite") == true, "\(left)")
    }
}
