import Testing
import Text

@Suite struct JSONWritingTests {
    private func written(_ body: (inout [UInt8]) -> Void) -> String {
        var bytes: [UInt8] = []
        body(&bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `members and elements are separated, the first by nothing`() {
        let text = written {
            $0.openObject()
            $0.append(member: "list")
            $0.openArray()
            for number in 1...3 {
                $0.beginElement()
                $0.append(decimal: number)
            }
            $0.closeArray()
            $0.append(member: "empty")
            $0.openObject()
            $0.closeObject()
            $0.append(member: "word", word: "as it is")
            $0.append(member: "text", text: "[{\"\n")
            $0.append(member: "after", true)
            $0.append(member: "count", -7)
            $0.append(member: "time", timeMilliseconds: 0)
            $0.append(nullMember: "none")
            $0.append(memberNamed: "\"")
            $0.append(decimal: 0)
            $0.closeObject()
        }
        #expect(
            text
                == #"{"list":[1,2,3],"empty":{},"word":"as it is","text":"[{\"\n","after":true,"count":-7,"#
                + #""time":"1970-01-01T00:00:00.000Z","none":null,"\"":0}"#
        )
        #expect(JSONValue(Array(text.utf8)) != nil)
    }

    @Test func `an object follows another without a comma where none is asked for`() {
        let text = written {
            for _ in 0..<2 {
                $0.openObject()
                $0.append(member: "a", 1)
                $0.closeObject()
                $0.append("\n")
            }
        }
        #expect(text == "{\"a\":1}\n{\"a\":1}\n")
    }
}
