import Foundation
import Glibc
import System
import Testing

@Suite struct SmallFileTests {
    @Test func `the text of a file of the kernel's is read to its end, whatever size it claims`() {
        #expect(SmallFile.text(of: "/proc/self/mountinfo").contains(" / "))
        #expect(ProcessStatus.memory().map { $0.residentBytes > 0 } == true)
    }

    @Test func `what is not a file is empty, and waited for by nobody`() throws {
        let directory = NSTemporaryDirectory() + "small-\(UInt64.random(in: .min ... .max))"
        #expect(mkdir(directory, 0o700) == 0)
        defer {
            unlink(directory + "/pipe")
            rmdir(directory)
        }
        #expect(mkfifo(directory + "/pipe", 0o600) == 0)
        for path in [directory, directory + "/pipe", directory + "/missing"] {
            #expect(SmallFile.text(of: path) == "")
        }
    }
}
