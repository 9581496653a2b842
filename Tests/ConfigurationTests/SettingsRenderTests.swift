import Channels
import Configuration
import Testing

struct SettingsRenderTests {
    @Test func `the defaults print every key, and read back as the defaults`() throws {
        let text = Settings().render()
        #expect(try settings(text) == Settings())
        for section in SettingsTable.sections {
            for key in section.keys { #expect(text.contains("\n\(key.name) = ")) }
        }
        #expect(text.hasPrefix("[fastcgi]\nlisten = /run/holdfast/holdfast.sock\nmode = 0660\n"))
        #expect(text.hasSuffix("\n\n[log]\nlevel = info\nformat = text\n"))
    }

    @Test func `a file with rules prints them in their order and reads back the same`() throws {
        let read = try settings(conf("chat.ini") + "[retain a/**]\nbytes = 1025\n[allow **]\n")
        let text = read.render()
        #expect(try settings(text) == read)
        #expect(
            text.contains("[retain chat]\ncount = 10000\nage = 7d\n\n[retain a/**]\nbytes = 1025\n")
        )
        #expect(text.contains("[endpoint /debug]\naction = held\n\n"))
    }

    /// For each key, the ends of what is allowed and a value between.
    @Test(arguments: [
        "[fastcgi]\nlisten = 127.0.0.2:9000", "[fastcgi]\nlisten = [::1]:1",
        "[fastcgi]\nlisten = inherited", "[fastcgi]\nmode = 0040", "[fastcgi]\nmode = 000",
        "[fastcgi]\ngroup = www-data", "[bus]\nmax_bytes = 1048577", "[bus]\nmax_bytes = 1025k",
        "[bus]\ndurability = memory", "[hold]\njitter = 0", "[hold]\nmax_wait = 1",
        "[cors]\nmax_age = 0", "[cors]\nmax_age = 90", "[cors]\norigins = *",
        "[cors]\norigins = http://a http://b", "[retain a]\nage = 3650d", "[retain a]\nage = 61m",
        "[endpoint /a(b)=c;d]\naction = publish\nchannels = x/y, z",
        "[endpoint /a]\naction = subscribe\nchannels = a\nwait = request\non_timeout = close",
        "[bus]\ndirectory = /a\tb c=d",
    ])
    func `each value reads back as it was printed`(text: String) throws {
        let read = try settings(text)
        #expect(try settings(read.render()) == read)
    }
}
