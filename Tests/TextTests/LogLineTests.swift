import Testing
import Text

@Suite struct `A line of the log` {
    private let line = LogLine(
        time: "2026-01-31T12:00:00Z",
        level: "notice",
        message: "log open",
        fields: ["head": "12", "directory": "/a b", "empty": ""]
    )

    @Test func `is for people, for logfmt or JSON`() {
        #expect(line.text == "2026-01-31T12:00:00Z notice log open directory=/a b empty= head=12")
        #expect(
            line.logfmt
                == "time=2026-01-31T12:00:00Z level=notice msg=\"log open\" directory=\"/a b\" empty=\"\" head=12"
        )
        #expect(
            line.json
                == #"{"time":"2026-01-31T12:00:00Z","level":"notice","message":"log open","#
                + #""directory":"/a b","empty":"","head":"12"}"#
        )
    }

    @Test(arguments: ["a\nb", "a\u{1B}[2J", "a\u{2028}b", "a\u{202E}b", "a\u{85}b"])
    func `no client writes a second line or a control character`(text: String) {
        let line = LogLine(time: "t", level: "info", message: text, fields: ["key": text])
        for form in [line.text, line.logfmt, line.json] {
            #expect(!form.unicodeScalars.contains { text.unicodeScalars.dropFirst().first == $0 })
        }
    }

    @Test func `no client writes a field of its own`() {
        let line = LogLine(
            time: "t",
            level: "info",
            message: "\" level=error",
            fields: ["key": "x=1 \"y\" \\"]
        )
        #expect(line.logfmt == #"time=t level=info msg="\" level=error" key="x=1 \"y\" \\""#)
        #expect(line.json.hasSuffix(#""message":"\" level=error","key":"x=1 \"y\" \\"}"#))
    }
}
