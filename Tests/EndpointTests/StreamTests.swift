import Channels
import Testing

@testable import Endpoint

/// The lines of a stream.
@Suite struct StreamTests {
    private let stream = StreamSubscription(channels: [channel("a")], form: .lines)

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func `a stream says where it begins, that it lives, and where to go on`() {
        #expect(text(stream.hello(at: cursor(10))) == #"{"kind":"hello","cursor":"k7f2-a"}"# + "\n")
        #expect(text(stream.ping(at: cursor(11))) == #"{"kind":"ping","cursor":"k7f2-b"}"# + "\n")
        #expect(
            text(stream.bye(.slow, at: cursor(12)))
                == #"{"kind":"bye","reason":"slow","cursor":"k7f2-c"}"# + "\n"
        )
    }

    @Test func `messages come as answers write them, each in a line, after the gap`() {
        let chunk = text(
            stream.chunk(reading([message(5, "\"x\"")], gap: .trimmed), epoch: epoch)
        )
        let lines = chunk.split(separator: "\n").map(String.init)
        #expect(lines.count == 2)
        #expect(lines[0] == #"{"kind":"gap","reason":"trimmed","cursor":"k7f2-4"}"#)
        let json = text(MessageEncoder.json(message(5, "\"x\"")))
        #expect(lines[1] == #"{"kind":"message","# + json.dropFirst())
        #expect(chunk.hasSuffix("\n"))
    }

    @Test func `nothing read is nothing said`() {
        #expect(stream.chunk(reading(), epoch: epoch).isEmpty)
    }
}
