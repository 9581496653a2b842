// A process of its own for the log's tests, which can be killed at any moment.
//
// BusWriter append DIRECTORY CHANNEL FIRST COUNT: appends "FIRST", "FIRST+1", … one after the other (COUNT 0: for ever) and
// prints "opened EPOCH HEAD" and "ok ID NUMBER" for each once it is committed.
// BusWriter hold DIRECTORY CHANNEL FIRST COUNT: the same, and then keeps the log open until it is killed.
// BusWriter bench DIRECTORY: prints LogBench's line.
import Bus
import CLinux
import Channels
import Foundation

func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

let arguments = CommandLine.arguments
guard arguments.count >= 3 else { exit(64) }
var settings = BusSettings()
settings.directory = arguments[2]
if arguments[1] == "bench" {
    say(LogBench.run(settings: settings))
    exit(0)
}
settings.reserveBytes = 65_536
guard arguments.count == 6, let channel = try? ChannelName(arguments[3]),
    let first = Int(arguments[4]), let count = Int(arguments[5])
else { exit(64) }

let events = AsyncStream.makeStream(of: LogEvent.self)
let log = Log(
    settings: settings,
    channelLimit: 1000,
    retention: { _ in
        var retention = Retention()
        retention.count = 1_000_000
        return retention
    },
    deliver: { for event in $0 { events.continuation.yield(event) } }
)
log.start()
var next = first
@MainActor func send() {
    log.append(
        Append(
            ticket: UInt64(next),
            drafts: [
                Draft(
                    channel: channel,
                    kind: .text,
                    contentType: "text/plain",
                    body: Array(String(next).utf8)
                )
            ]
        )
    )
    next += 1
}
for await event in events.stream {
    switch event {
    case .opened(let state):
        say("opened \(state.epochs.current) \(state.head)")
        // Opened anew, it answers what was sent before.
        if next == first { send() }
    case .appended(let ticket, .committed(let ids)):
        say("ok \(ids[0]) \(ticket)")
        if count > 0, next == first + count {
            if arguments[1] == "hold" { continue }
            log.stop()
            exit(0)
        }
        send()
    case .appended(_, let outcome):
        say("failed \(outcome)")
        exit(1)
    case .unavailable(let sentence, _): say("unavailable \(sentence)")
    case .notice(let sentence, _): say("notice \(sentence)")
    case .resumed, .committed, .history, .message, .channels, .engine, .machines: break
    }
}
