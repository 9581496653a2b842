internal import Channels
internal import Core
internal import Liveness
internal import Text

/// The encoding of messages about subscribers.
extension SubscriberWord {
    static let byteCount = 17

    var bytes: [UInt8] {
        var bytes = [kind.rawValue]
        bytes.append(bigEndian: UInt64(bitPattern: time))
        bytes.append(bigEndian: subscriber)
        return bytes
    }

    static func all(in bytes: [UInt8]) -> [SubscriberWord] {
        stride(from: 0, through: bytes.count - byteCount, by: byteCount).compactMap { at in
            guard let kind = Kind(rawValue: bytes[at]) else { return nil }
            return SubscriberWord(
                kind: kind,
                time: Int64(bitPattern: UInt64(bigEndianBytes: bytes[at + 1..<at + 9])),
                subscriber: UInt64(bigEndianBytes: bytes[at + 9..<at + 17])
            )
        }
    }
}

/// Which figures are asked for; those that cost more than reading the process's counts only on demand.
enum FigureWish: UInt8 {
    case counts = 0
    /// Also those of the last minutes: "h".
    case history = 0x68
    /// Also what the system reports of the process, which only metrics show: "p".
    case process = 0x70

    init(_ question: SurveyQuestion) {
        switch question {
        case .metrics: self = .process
        case .status(withHistory: true): self = .history
        case .status, .holders: self = .counts
        }
    }
}

/// A message between siblings: a kind, a number in eight bytes, and the content.
enum SiblingMessage {
    /// Asks for the figures; the answer has the same number.
    case question(UInt64, FigureWish = .counts)
    case snapshot(UInt64, [UInt8])
    /// Asks how many requests wait for each of the channels from one name to another; the answer has the same number.
    case whoWaits(UInt64, from: String, through: String)
    /// A line for each channel: count, blank, name.
    case waiting(UInt64, [(ChannelName, Int)])
    case words([SubscriberWord])
    /// The members on channels in the sender's process: a line for each, with the name of the channel, the subscriber in
    /// hexadecimal and the member's topic, separated by blanks.
    case here([Here])

    typealias Here = PresentMember

    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 9 else { return nil }
        let number = UInt64(bigEndianBytes: bytes[1..<9])
        let rest = bytes[9...]
        switch bytes[0] {
        case UInt8(ascii: "?"):
            self = .question(number, rest.first.flatMap(FigureWish.init(rawValue:)) ?? .counts)
        case UInt8(ascii: "="): self = .snapshot(number, Array(rest))
        case UInt8(ascii: "w"):
            let names = String(decoding: rest, as: UTF8.self)
                .split(separator: "\n", omittingEmptySubsequences: false)
            guard names.count == 2 else { return nil }
            self = .whoWaits(number, from: String(names[0]), through: String(names[1]))
        case UInt8(ascii: "W"):
            var counts: [(ChannelName, Int)] = []
            for line in rest.split(separator: UInt8(ascii: "\n")) {
                let words = String(decoding: line, as: UTF8.self).split(separator: " ")
                guard words.count == 2, let count = Int(words[0]), count >= 0,
                    let name = try? ChannelName(words[1])
                else { return nil }
                counts.append((name, count))
            }
            self = .waiting(number, counts)
        case UInt8(ascii: "s"):
            let words = SubscriberWord.all(in: Array(rest))
            guard words.count * SubscriberWord.byteCount == rest.count else { return nil }
            self = .words(words)
        case UInt8(ascii: "h"):
            var members: [Here] = []
            for line in rest.split(separator: UInt8(ascii: "\n")) {
                let parts = line.split(separator: UInt8(ascii: " "), maxSplits: 2)
                    .map { String(decoding: $0, as: UTF8.self) }
                guard parts.count == 3, let channel = try? ChannelName(parts[0]),
                    let subscriber = UInt64(parts[1], radix: 16),
                    let member = Member(topic: parts[2])
                else { return nil }
                members.append((channel, member, subscriber))
            }
            self = .here(members)
        default: return nil
        }
    }

    var bytes: [UInt8] {
        func head(_ kind: UInt8, _ number: UInt64) -> [UInt8] {
            var bytes = [kind]
            bytes.append(bigEndian: number)
            return bytes
        }
        return switch self {
        // What follows the number does not matter to releases that know only the counts.
        case .question(let number, let wish):
            head(UInt8(ascii: "?"), number) + (wish == .counts ? [] : [wish.rawValue])
        case .snapshot(let number, let bytes): head(UInt8(ascii: "="), number) + bytes
        case .whoWaits(let number, let from, let through):
            head(UInt8(ascii: "w"), number) + Array("\(from)\n\(through)".utf8)
        case .waiting(let number, let counts):
            head(UInt8(ascii: "W"), number) + counts.flatMap { Array("\($1) \($0)\n".utf8) }
        case .words(let words): head(UInt8(ascii: "s"), 0) + words.flatMap(\.bytes)
        case .here(let members):
            head(UInt8(ascii: "h"), 0)
                + members.flatMap { one in
                    Array(
                        "\(one.channel) \(String(one.subscriber, radix: 16)) \(one.member.topic)\n"
                            .utf8
                    )
                }
        }
    }
}
