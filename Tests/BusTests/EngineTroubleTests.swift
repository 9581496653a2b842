import Channels
import Harness
import Testing

@testable import Bus

struct EngineTroubleTests {
    @Test func `while the engine failed for two reasons in turn, each was said again and again`()
        throws
    {
        var settings = BusSettings()
        settings.directory = try TestDirectory().file("bus")
        let shared = LogFiles.unserved(settings)
        let link = EngineLink(EngineSettings(postgresql: "host=/nowhere"), settings)
        #expect(link.note("refused", of: .publishing, shared))
        var said = 0
        for number in 0..<1000 {
            let reason = number.isMultiple(of: 2) ? "reset" : "refused"
            if link.note(reason, of: .publishing, shared) { said += 1 }
        }
        #expect(said < 100)
        // Another trouble, the end of one, and its beginning are said at once.
        #expect(link.note("refused", of: .following, shared))
        #expect(link.note(nil, of: .publishing, shared))
        #expect(link.note("refused", of: .publishing, shared))
    }
}
