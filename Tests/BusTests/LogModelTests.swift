import Bus
import Channels
import Foundation
import SeededRandom
import Synchronization
import Testing

/// What a reader reads over many polls is what was published, minus what a gap reported.
@Suite struct LogModelTests {
    private struct Published: Equatable {
        var offset: Int64
        var channel: String
        var text: String
        var expires: Int64?
        /// That its channel was dropped, instead of a message.
        var isDrop = false
    }

    private struct Reader {
        var channels: [String]
        var cursor: Int64 = 0
    }

    @Test(arguments: Array<UInt64>(1...6), [false, true])
    func `random operations of two processes end as the model says`(
        seed: UInt64,
        appendsAtOnce: Bool
    ) throws {
        var random = SplitMix64(seed: seed)
        let directory = TemporaryDirectory(in: appendsAtOnce ? "/dev/shm" : "/tmp")
        let clock = GivenClock()
        var settings = settings(directory)
        settings.memoryMessages = 20
        let names = (0..<6).map { "c\($0)" }
        var rule = (count: 20, seconds: 1000)
        func open() -> LogProbe {
            LogProbe(
                settings,
                clocks: clock.clocks(),
                retention: keep(count: rule.count, seconds: rule.seconds),
                appendsAtOnce: appendsAtOnce
            )
        }
        var probes = [open(), open()]
        var all: [Published] = []
        var readers = (0..<4).map { _ in
            Reader(
                channels: Array(
                    names.shuffled(using: &random).prefix(.random(in: 1...4, using: &random))
                )
            )
        }
        var gaps = 0

        for step in 0..<400 {
            let which = Int.random(in: 0...1, using: &random)
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<45:
                let drafts = (0..<Int.random(in: 1...8, using: &random)).map { index in
                    draft(
                        names.randomElement(using: &random)!,
                        "\(step)/\(index)",
                        ttl: Int.random(in: 0..<10, using: &random) == 0 ? 50 : nil
                    )
                }
                let outcome = probes[which].outcome(of: probes[which].send(drafts))
                guard case .committed(let ids) = outcome else {
                    Issue.record("step \(step): \(outcome)")
                    return
                }
                let now = clock.wall.load(ordering: .relaxed)
                for (id, draft) in zip(ids, drafts) {
                    all.append(
                        Published(
                            offset: id.offset.value,
                            channel: draft.channel.text,
                            text: String(decoding: draft.body, as: UTF8.self),
                            expires: draft.timeToLiveSeconds.map { now + Int64($0) * 1000 }
                        )
                    )
                }
                #expect(all.map(\.offset) == Array(1...Int64(all.count)))
            case 45..<85:
                let index = readers.indices.randomElement(using: &random)!
                let limit = Int.random(in: 1...30, using: &random)
                let reading = probes[which].read(
                    readers[index].channels,
                    .after(Offset(readers[index].cursor)),
                    limit: limit
                )
                check(reading, readers[index], all, now: clock.wall.load(ordering: .relaxed), limit)
                gaps += reading.gap == nil ? 0 : 1
                readers[index].cursor = reading.scanned.value
            case 85..<88:
                let channel = names.randomElement(using: &random)!
                let outcome = probes[which].outcome(
                    of: probes[which].send([], dropping: [channel])
                )
                #expect(outcome == .committed(ids: []))
                // It takes a place of its own if there was anything, which retention decides.
                if probes[which].now.head.value > Int64(all.count) {
                    all.append(
                        Published(
                            offset: Int64(all.count + 1),
                            channel: channel,
                            text: "",
                            isDrop: true
                        )
                    )
                }
                #expect(probes[which].read([channel], .first).messages.isEmpty)
            case 88..<92:
                clock.advance(seconds: Int64.random(in: 1...120, using: &random))
            case 92..<96:
                rule = (
                    Int.random(in: 1...40, using: &random),
                    [100, 1000].randomElement(using: &random)!
                )
                for probe in probes {
                    probe.log.replaceRetention(keep(count: rule.count, seconds: rule.seconds))
                }
            default:
                probes[which].stop()
                probes[which] = open()
                #expect(probes[which].now.head.value == Int64(all.count))
            }
        }
        // A reader that reads to the end gets all of it.
        for index in readers.indices {
            var more = true
            while more {
                let reading = probes[0].read(
                    readers[index].channels,
                    .after(Offset(readers[index].cursor)),
                    limit: 7
                )
                check(reading, readers[index], all, now: clock.wall.load(ordering: .relaxed), 7)
                readers[index].cursor = reading.scanned.value
                more = reading.more
            }
            #expect(readers[index].cursor == Int64(all.count))
        }
        #expect(gaps > 0)
        for probe in probes {
            // A subscriber that waits gets everything from the opening on, in order and once.
            let live = probe.now.live.map(\.offset.value)
            if probe.now.missed.isEmpty, !all.contains(where: \.isDrop), let first = live.first {
                #expect(live == Array(first...first + Int64(live.count) - 1))
            }
            #expect(probe.now.epochs?.stretches.count == 1)
            probe.stop()
        }
        #expect(try integrity(directory.path + "/bus") == "ok")
        #expect(try countsAgree(directory.path + "/bus"))
    }

    private func check(
        _ reading: HistoryPage,
        _ reader: Reader,
        _ all: [Published],
        now: Int64,
        _ limit: Int
    ) {
        let scanned = reading.scanned.value
        #expect(reading.messages.count <= limit)
        #expect(scanned >= reader.cursor)
        let got = reading.messages.map(\.offset.value)
        let drops = all.filter { $0.isDrop && reader.channels.contains($0.channel) }
        // A reader before a drop is told of it, and has nothing from before it.
        let isDropped = drops.contains { $0.offset > reader.cursor }
        if isDropped { #expect(reading.gap != nil) }
        let wanted = all.filter { message in
            message.offset > reader.cursor && message.offset <= scanned && !message.isDrop
                && reader.channels.contains(message.channel)
                && message.expires ?? .max > now
                && !drops.contains {
                    $0.channel == message.channel && $0.offset > message.offset
                }
        }
        let texts = Dictionary(uniqueKeysWithValues: all.map { ($0.offset, $0) })
        for message in reading.messages {
            #expect(texts[message.offset.value]?.text == message.text)
            #expect(texts[message.offset.value]?.channel == message.channel.text)
        }
        if reading.gap == nil {
            #expect(got == wanted.map(\.offset), "after \(reader.cursor) to \(scanned)")
        } else {
            // Of each channel the newest are left.
            for channel in reader.channels {
                let left = reading.messages.filter { $0.channel.text == channel }
                    .map(\.offset.value)
                let of = wanted.filter { $0.channel == channel }.map(\.offset)
                #expect(left == Array(of.suffix(left.count)), "\(channel)")
            }
        }
        if !reading.more { #expect(scanned == Int64(all.count)) }
    }
}
