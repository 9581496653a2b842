internal import Foundation
internal import Glibc
import Harness
import Testing

/// Streams of several channels whose messages go while they are read.
@Suite struct StreamGapTests {
    /// Messages of two kilobytes, numbered, on a channel that keeps 200 of them.
    private func publish(_ server: HoldfastServer, _ numbers: ClosedRange<Int>) throws {
        let filling = String(repeating: "x", count: 2000)
        let lines = numbers.map { "\"\($0) \(filling)\"\n" }.joined()
        // On a busy machine so large a commit may take longer than a publisher is kept waiting.
        let fields = ["Idempotency-Key": "\(numbers)"]
        try waitUntil("they are committed") {
            try server.post("/push/b", lines, type: "application/x-ndjson", fields: fields)
                .status == 201
        }
    }

    /// What a stream told, in order: messages by their number, gaps as nil.
    private func told(_ object: JSON, kind: String?) -> [Int?] {
        switch kind {
        case "gap": [nil]
        case "message": object["data"].string?.split(separator: " ").first.map { [Int($0)] } ?? []
        default: []
        }
    }

    /// Reads to the newest message.
    private func read(_ next: () throws -> [Int?]) throws -> [Int?] {
        var told: [Int?] = []
        while told.last != .some(400) { told += try next() }
        return told
    }

    @Test(arguments: ["text/event-stream", "application/x-ndjson", "bus"])
    func `the mark of one channel hid later losses of another one`(form: String) throws {
        let retain = HoldfastServer.open + "[retain b]\ncount = 200\n"
        try HoldfastServer.with(retain) { server in
            let start = try server.cursor("b")
            try publish(server, 1...200)
            try server.publish("a", "gone")
            let delete = FastCGIRequest("DELETE", "/push/a")
            #expect(try server.exchange(delete).status == 204)

            let next: () throws -> [Int?]
            if form == "bus" {
                let client = try server.busClient()
                try client.send("subscribe a b since \(start)\n")
                try client.next("hello")
                next = {
                    guard let line = try client.next() else { throw HarnessError("it ended") }
                    return told(line, kind: line["kind"].string)
                }
            } else {
                let peer = try server.peer(receiveBuffer: 4096)
                try peer.send(
                    FastCGIRequest("GET", "/push/a,b?since=\(start)", fields: ["Accept": form])
                )
                var unread = try peer.partialAnswer().text
                next = {
                    let end = form.hasPrefix("text") ? "\n\n" : "\n"
                    while true {
                        if let at = unread.range(of: end) {
                            let block = String(unread[..<at.lowerBound])
                            unread.removeSubrange(..<at.upperBound)
                            guard end == "\n\n" else {
                                let line = try JSON(Array(block.utf8))
                                return told(line, kind: line["kind"].string)
                            }
                            let lines = block.split(separator: "\n")
                            let name = lines.first { $0.hasPrefix("event: ") }?.dropFirst(7)
                            guard let data = lines.first(where: { $0.hasPrefix("data: ") }) else {
                                return []
                            }
                            return told(
                                try JSON(Array(data.dropFirst(6).utf8)),
                                kind: name.map { String($0) } ?? "message"
                            )
                        }
                        guard let record = try peer.record() else {
                            throw HarnessError("it ended")
                        }
                        unread += String(decoding: record.content, as: UTF8.self)
                    }
                }
            }
            // It has begun, and waits for its reader.
            try publish(server, 201...400)
            let all = try read(next)
            var last = 0
            var isToldOfGap = false
            for number in all {
                guard let number else {
                    isToldOfGap = true
                    continue
                }
                #expect(number == last + 1 || isToldOfGap, "from \(last) to \(number)")
                (last, isToldOfGap) = (number, false)
            }
            // Otherwise nothing has been tried.
            #expect(all.count < 400)
        }
    }

    @Test
    func `a stream since the newest few of each channel got older ones with its second piece`()
        throws
    {
        try HoldfastServer.with { server in
            let long = String(repeating: "x", count: 30_000)
            for number in 1...4 { try server.publish("b", "b\(number) \(long)") }
            for number in 1...9 { try server.publish("a", "a\(number) ") }
            let client = try server.busClient()
            try client.send("subscribe a b since last:3\n")
            try client.next("hello")
            var seen: [String] = []
            while seen.last != "a9" {
                let text = try client.next("message")["data"].string ?? ""
                seen.append(String(text.prefix(2)))
            }
            #expect(seen == ["b2", "b3", "b4", "a7", "a8", "a9"])
        }
    }

    @Test func `a stream that had not read all got nothing of a restored log up to an old mark`()
        throws
    {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            let start = try server.cursor("a")
            func publishAll(_ numbers: ClosedRange<Int>) throws {
                let lines = numbers.map { "\($0)\n" }.joined()
                let answer = try server.post("/push/a", lines, type: "application/x-ndjson")
                #expect(answer.status == 201)
            }
            try publishAll(1...100)
            let copy = server.directory.file("copy.sqlite")
            #expect(try server.command("log", "backup", copy).exit == .exited(0))
            try publish(server, 1...200)
            #expect(try server.exchange(FastCGIRequest("DELETE", "/push/a")).status == 204)
            try publish(server, 201...201)
            let client = try server.busClient()
            try client.send("subscribe a b since \(start)\n")
            try client.next("hello")
            #expect(try client.next("gap")["reason"] == "deleted")
            try #require(rename(copy, server.directory.file("bus/log.sqlite")) == 0)
            try publishAll(1001...1080)
            try server.publish("b", "end")

            var seen: [Int] = []
            var gaps: [String] = []
            while let line = try client.next() {
                if let reason = line["reason"].string { gaps.append(reason) }
                if line["channel"] == "a", let number = line["data"].number {
                    seen.append(Int(number))
                }
                if line["data"] == "end" { break }
            }
            #expect(seen.suffix(80) == Array(1001...1080)[...])
            #expect(gaps == ["restarted"])
        }
    }
}
