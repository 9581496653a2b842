import Channels
import Configuration
import Foundation
import SeededRandom
import Testing
import Text

@testable import Endpoint

/// What the lines of a named pipe mean.
@Suite struct PipeInterfaceTests {
    private func interface(
        lineBytes: Int = 60,
        _ change: (inout PipeSettings) -> Void = { _ in }
    ) -> PipeInterface {
        var pipe = PipeSettings(path: "/run/p")
        change(&pipe)
        var limits = LimitSettings()
        limits.messageBytes = 50
        return PipeInterface(pipe, limits: limits, capacity: lineBytes)
    }

    /// What all of the bytes come to, a word each.
    private func read(
        _ bytes: [UInt8],
        _ interface: PipeInterface? = nil,
        isFull: Bool = false
    ) -> [String] {
        let interface = interface ?? self.interface()
        var found: [String] = []
        var at = 0
        while at < bytes.count {
            switch interface.portion(bytes[at...], isFull: isFull) {
            case .lines(let publication, let count, let byteCount):
                #expect(publication.drafts.count == count)
                for draft in publication.drafts {
                    let body = String(decoding: draft.body, as: UTF8.self)
                    let key = publication.idempotencyKey.map { " key \($0)" } ?? ""
                    found.append("\(draft.channel): \(body)\(key)")
                }
                at += byteCount
            case .bad(_, let beginning, let byteCount):
                found.append("bad: \(beginning)")
                at += byteCount
            case .nothing(let byteCount): at += byteCount
            case .overlong(_, let byteCount, let isWhole):
                found.append("overlong \(byteCount) \(isWhole)")
                at += byteCount
            case .incomplete: return found + ["incomplete"]
            }
        }
        return found
    }

    private func read(
        _ text: String,
        _ interface: PipeInterface? = nil,
        isFull: Bool = false
    ) -> [String] {
        read(Array(text.utf8), interface, isFull: isFull)
    }

    @Test func `a line names its channel before a tab, or in an object`() {
        #expect(
            read("a\thello\r\n\n\nb/c\t\n{\"channel\":\"d\",\"data\": {\"x\": [1, \"}\"]}}\n")
                == ["a: hello", "b/c: ", #"d: {"x":[1,"}"]}"#]
        )
        #expect(read("a\tone\ttwo\n") == ["a: one\ttwo"])
    }

    @Test func `an object may have a key, a type, a time to live and a topic`() throws {
        let line =
            #"{"data":null,"channel":"\u0061","key":"k\"1","type":"\ud83d\ude00","ttl":60,"topic":"t"}"#
        guard
            case .lines(let publication, 1, _) = interface(lineBytes: 200)
                .portion(Array("\(line)\n".utf8)[...], isFull: false)
        else {
            Issue.record("no line")
            return
        }
        #expect(publication.idempotencyKey == "k\"1")
        #expect(publication.publisher == "pipe:/run/p")
        let draft = publication.drafts[0]
        #expect(draft.channel.text == "a")
        #expect(draft.type == "\u{1F600}")
        #expect(draft.timeToLiveSeconds == 60)
        #expect(draft.topic == "t")
        #expect(draft.kind == .json)
    }

    @Test func `a line with a key is appended alone`() {
        let keyed = #"{"channel":"a","data":1,"key":"k"}"#
        let text = "a\tx\n\(keyed)\na\ty\n"
        #expect(read(text) == ["a: x", "a: 1 key k", "a: y"])
    }

    @Test(arguments: [
        "hello", "\thello", "-/a\tx", "a b\tx", "{\"channel\":\"a\"}", "{\"data\":1}", "{}", "{",
        "{\"channel\":1,\"data\":1}", "{\"channel\":\"a\",\"data\":1,\"x\":1}",
        "{\"channel\":\"a\",\"data\":1,\"ttl\":-1}", "{\"channel\":\"a\",\"data\":1,\"ttl\":[]}",
        "{\"channel\":\"a\",\"data\":1,\"type\":\"hello\"}", "[1]",
        "a\t\(String(repeating: "x", count: 51))",
    ])
    func `a line that can't be published is passed over`(line: String) {
        #expect(
            read("a\tbefore\n\(line)\na\tafter\n") == ["a: before", "bad: \(line)", "a: after"]
        )
    }

    @Test func `text that is not UTF-8 is passed over, and shown repaired`() {
        #expect(read(Array("a\t".utf8) + [0xE9, 0x0A]) == ["bad: a\t\u{FFFD}"])
    }

    @Test func `lines may name only the channels that the pipe is for`() {
        let news = interface { $0.channels = [ChannelPattern("news/*")!] }
        #expect(read("news/a\tx\nother\ty\n", news) == ["news/a: x", "bad: other\ty"])
    }

    @Test func `a bound pipe takes whole lines`() {
        let text = interface { $0.channel = channel("c") }
        #expect(read("a\tb\n{\"x\":1}\n", text) == ["c: a\tb", "c: {\"x\":1}"])
        let json = interface {
            $0.channel = channel("c")
            $0.format = .json
        }
        #expect(read("{ \"x\": 1 }\nno\n", json) == ["c: {\"x\":1}", "bad: no"])
    }

    @Test func `an unfinished line is waited for, unless nothing can follow it`() {
        #expect(read("a\tx\na\ty") == ["a: x", "incomplete"])
        #expect(read("a\ty", isFull: true) == ["overlong 3 false"])
        let long = "a\t" + String(repeating: "x", count: 60)
        #expect(read(long) == ["overlong 62 false"])
        #expect(read(long + "\na\tz\n") == ["overlong 63 true", "a: z"])
    }

    @Test func `lines are appended in batches`() {
        let text = (1...150).map { "a\t\($0)\n" }.joined()
        guard
            case .lines(_, let count, let bytes) = interface()
                .portion(Array(text.utf8)[...], isFull: false)
        else {
            Issue.record("no lines")
            return
        }
        #expect(count == PipeInterface.lineCount)
        #expect(bytes == (1...64).reduce(0) { $0 + "a\t\($1)\n".utf8.count })
        #expect(read(text).count == 150)
    }

    @Test(arguments: 0..<200)
    func `members of objects are found as Foundation finds them`(seed: Int) throws {
        var generator = SplitMix64(seed: UInt64(seed))
        let strings = ["a", "\"", "\\", "\u{1F600}", "}", ",", "é\n", "\u{7}", ""]
        func value(_ depth: Int) -> Any {
            switch Int.random(in: 0..<(depth > 2 ? 4 : 6), using: &generator) {
            case 0: return Int.random(in: -5...5, using: &generator)
            case 1: return strings.randomElement(using: &generator)!
            case 2: return true
            case 3: return NSNull()
            case 4: return (0..<2).map { _ in value(depth + 1) }
            default: return [strings.randomElement(using: &generator)!: value(depth + 1)]
            }
        }
        var object: [String: Any] = [:]
        for name in strings.shuffled(using: &generator).prefix(4) { object[name] = value(0) }
        let data = try JSONSerialization.data(withJSONObject: object)
        let text = try JSONText.compacted(Array(data))
        let members = try #require(JSONMembers.of(text))
        #expect(Set(members.map(\.name)) == Set(object.keys))
        for (name, range) in members {
            let found = try JSONSerialization.jsonObject(
                with: Data(text[range]),
                options: .fragmentsAllowed
            )
            #expect(found as? NSObject == object[name] as? NSObject)
            #expect(JSONMembers.string(text, at: range) == object[name] as? String)
        }
    }
}
