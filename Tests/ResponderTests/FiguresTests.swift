import Core
import Harness
import Testing

@testable import Responder

@Suite struct `The figures` {
    private func snapshot(_ change: (inout Readings) -> Void, pid: Int64 = 1) -> Snapshot {
        var readings = Readings()
        change(&readings)
        return Snapshot(
            pid: pid,
            uptimeSeconds: 3,
            isReady: true,
            isServing: false,
            values: Figure.all.map { $0.read(readings) }
        )
    }

    private func overview(_ snapshots: [Snapshot], missing: Int = 0) -> Overview {
        Overview(isService: true, snapshots: snapshots, missing: missing)
    }

    private func members(_ overview: Overview) -> String {
        var bytes: [UInt8] = []
        overview.appendMembers(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `no two figures have one name`() {
        #expect(Set(Figure.all.map(\.sample)).count == Figure.all.count)
        let paths = Figure.all.compactMap(\.path)
        #expect(Set(paths).count == paths.count)
    }

    @Test func `a figure's family is one piece, as Prometheus wants it`() {
        var seen: [String] = []
        for figure in Figure.all where seen.last != figure.family { seen.append(figure.family) }
        #expect(Set(seen).count == seen.count)
    }

    @Test func `no object of the status has a member twice`() throws {
        let text = "{\(members(overview([snapshot { _ in }])))}"
        // By hand: a parser would take the last of two.
        var names: [[String]] = [[]]
        var rest = text[...]
        while let at = rest.firstIndex(where: { "{}\"".contains($0) }) {
            switch rest[at] {
            case "{": names.append([])
            case "}":
                let closed = names.removeLast()
                #expect(Set(closed).count == closed.count, "\(closed)")
            default:
                let end = try #require(rest[rest.index(after: at)...].firstIndex(of: "\""))
                names[names.count - 1].append(String(rest[rest.index(after: at)..<end]))
                rest = rest[rest.index(after: end)...]
                continue
            }
            rest = rest[rest.index(after: at)...]
        }
        #expect(names == [[]])
    }

    @Test func `figures of several processes are added, or the largest or smallest counts`() throws
    {
        let one = snapshot {
            ($0.gauges.held, $0.gauges.head, $0.gauges.isLogAvailable) = (3, 70, true)
        }
        let other = snapshot({ ($0.gauges.held, $0.gauges.head) = (4, 60) }, pid: 2)
        let text = overview([one, other], missing: 1).prometheusText
        #expect(text.contains("\nholdfast_held_requests 7\n"))
        #expect(text.contains("\nholdfast_log_head 70\n"))
        #expect(text.contains("\nholdfast_log_available 0\n"))
        #expect(text.contains("\nholdfast_processes 2\n"))
        #expect(text.contains("\nholdfast_processes_missing 1\n"))
    }

    @Test func `a count beyond all numbers that another process says does not end this one`() {
        let one = snapshot { $0.gauges.held = .max }
        #expect(members(overview([one, one])).contains("\"held\":\(Int64.max)"))
    }

    @Test func `a snapshot is read as it was written, and one of another release is not`() {
        let one = snapshot { $0.gauges.held = 12 }
        #expect(Snapshot(one.encoded) == one)
        var foreign = one.encoded
        foreign[0] ^= 1
        #expect(Snapshot(foreign) == nil)
        #expect(Snapshot(Array(one.encoded.dropLast(8))) == nil)
    }

    @Test func `the buckets of a histogram hold all that is below their bound`() {
        let one = snapshot {
            $0.shell.latency.record(microseconds: 90)
            $0.shell.latency.record(microseconds: 300, times: 2)
            $0.shell.latency.record(microseconds: 5_000_000)
        }
        let text = overview([one]).prometheusText
        #expect(text.contains("_bucket{le=\"0.0001\"} 1\n"))
        #expect(text.contains("_bucket{le=\"0.0005\"} 3\n"))
        #expect(text.contains("_bucket{le=\"1.0\"} 3\n"))
        #expect(text.contains("_bucket{le=\"+Inf\"} 4\n"))
        #expect(text.contains("_count 4\n"))
    }
}
