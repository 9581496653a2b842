import Channels
import Core
import Liveness
import Testing

@testable import Responder

@Suite struct `Messages between processes` {
    @Test func `a message is read as it was written`() throws {
        let channel = try ChannelName("a.b")
        let member = try #require(Member(topic: "user ann"))
        let word = SubscriberWord(kind: .left, time: -5, subscriber: .max)
        let messages: [SiblingMessage] = [
            .question(9), .question(9, .history), .question(9, .process),
            .snapshot(1 << 63, [1, 2]),
            .whoWaits(3, from: "a", through: "z"),
            .waiting(4, [(channel, 12)]), .words([word, word]),
            .here([(channel, member, UInt64(77))]),
        ]
        for message in messages {
            let read = try #require(SiblingMessage(message.bytes))
            #expect(read.bytes == message.bytes)
            #expect("\(read)" == "\(message)")
        }
    }

    @Test func `what is cut or longer than it should be is none`() {
        let word = SubscriberWord(kind: .cameAgain, time: 1, subscriber: 2)
        let words = SiblingMessage.words([word]).bytes
        #expect(SiblingMessage(Array(words.dropLast())) == nil)
        #expect(SiblingMessage(words + [0]) == nil)
        #expect(SiblingMessage(Array(words[..<8])) == nil)
        #expect(SiblingMessage([0x21] + words.dropFirst()) == nil)
        #expect(SiblingMessage(Array("W00000000-1 a\n".utf8)) == nil)
    }
}
