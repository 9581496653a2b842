import Foundation
import Testing

@testable import Bus

@Suite struct WakePageTests {
    @Test func `a wake page that is cut off while it is open has no offset`() throws {
        let folder = TemporaryDirectory()
        let directory = try BusDirectory(settings: settings(folder))
        let page = try WakePage(directory, boot: "boot-1")
        let other = try WakePage(directory, boot: "boot-1")
        page.note(head: 7, isSynced: true)
        #expect(page.head == 7)
        #expect(other.head == 7)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: directory.wakePath))
        try file.truncate(atOffset: 0)
        #expect(page.head == 0)
        #expect(other.head == 0)
        // Written again, as by a copy over it: the same file has something to say.
        try file.truncate(atOffset: 4096)
        page.note(head: 9, isSynced: true)
        #expect(page.head == 9)
        #expect(other.head == 9)
    }
}
