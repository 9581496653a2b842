import Channels
import Testing

@testable import Core
@testable import Endpoint

@Suite struct `Questions to all processes` {
    private let shape = Shape(origin: .silent, headOnly: false)

    private func listing(_ names: [String]) -> ChannelListing {
        let entries = names.map { name in
            ChannelListing.Entry(
                name: channel(name),
                messages: 1,
                bytes: 2,
                newest: nil,
                newestMilliseconds: nil
            )
        }
        return ChannelListing(entries: entries, next: nil)
    }

    private func survey(_ names: [String]) -> Survey {
        let selection = ChannelSelection.after(nil, limit: 100)
        return .channels(ChannelsRequest(selection: selection, shape: shape), listing(names))
    }

    private func text(_ reply: Reply) -> String {
        switch reply {
        case .answer(let answer): String(decoding: answer.body, as: UTF8.self)
        case .line(let bytes): String(decoding: bytes, as: UTF8.self)
        }
    }

    @Test func `the others are asked for the channels from the first to the last of the listing`() {
        guard case .holders(let from, let through) = survey(["a", "b", "c"]).question else {
            Issue.record("it asks for something else")
            return
        }
        #expect(from == "a" && through == "c")
    }

    @Test func `a listing without channels asks for none`() {
        guard case .holders(let from, let through) = survey([]).question else {
            Issue.record("it asks for something else")
            return
        }
        #expect(from == "" && through == "")
    }

    @Test func `the history is asked for where it is shown`() {
        guard case .status(withHistory: true) = Survey.status(shape).question,
            case .metrics(.openMetrics) = Survey.metrics(.openMetrics, shape).question
        else {
            Issue.record("it asks for something else")
            return
        }
    }

    @Test func `holds here and in the other processes are added up, for each channel`() {
        let counts = [channel("a"): 3, channel("c"): Int.max]
        let reply = survey(["a", "b", "c"]).reply(.holders(counts)) { _ in 2 }
        let body = text(reply)
        #expect(body.contains("\"channel\":\"a\"") && body.hasSuffix("}\n"))
        let held = body.components("\"held\":")
        // Another process may say any number.
        #expect(held == ["5", "2", "\(Int.max)"])
    }

    @Test func `figures are answered as the text that has come`() {
        let reply = Survey.metrics(.prometheus, shape).reply(.text(Array("x 1\n".utf8))) { _ in 0 }
        #expect(text(reply) == "x 1\n")
    }
}

extension String {
    /// The numbers behind each of these.
    fileprivate func components(_ mark: String) -> [String] {
        var found: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: mark) {
            rest = rest[range.upperBound...]
            found.append(String(rest.prefix { $0.isNumber }))
        }
        return found
    }
}
