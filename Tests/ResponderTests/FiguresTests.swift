import Bus
import Core
import Endpoint
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
        let text = overview([one, other], missing: 1).text(.prometheus)
        #expect(text.contains("\nholdfast_held_requests 7\n"))
        #expect(text.contains("\nholdfast_log_head 70\n"))
        #expect(text.contains("\nholdfast_log_available 0\n"))
        #expect(text.contains("\nholdfast_processes 2\n"))
        #expect(text.contains("\nholdfast_processes_missing 1\n"))
    }

    @Test func `OpenMetrics names a counter's family without its suffix, the units, and the end`() {
        let text = overview([snapshot { _ in }]).text(.openMetrics)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.suffix(2) == ["# EOF", ""])
        #expect(lines.contains("# TYPE holdfast_requests counter"))
        #expect(lines.contains("holdfast_requests_total 0"))
        #expect(lines.contains("# UNIT holdfast_unsent_bytes bytes"))
        #expect(lines.contains("# UNIT holdfast_delivery_seconds seconds"))
        #expect(lines.contains("# UNIT process_cpu_seconds seconds"))
        #expect(lines.contains("# TYPE holdfast_build info"))
        // Each sample belongs to the family that was opened last, by the suffixes of its type (OpenMetrics 1.0, 5.1).
        var (family, kind) = ("", "")
        let suffixes = [
            "gauge": [""], "counter": ["_total"], "info": ["_info"],
            "histogram": ["_bucket", "_sum", "_count"],
        ]
        for line in lines.dropLast() {
            let words = line.split(separator: " ")
            if line.hasPrefix("# TYPE ") {
                (family, kind) = (String(words[2]), String(words[3]))
            } else if !line.hasPrefix("#") {
                let name = words[0].prefix { $0 != "{" }
                #expect(suffixes[kind]?.contains { name == family + $0 } == true, "\(line)")
            }
        }
    }

    @Test func `in Prometheus' format a counter's family has its suffix, and nothing ends it`() {
        let text = overview([snapshot { _ in }]).text(.prometheus)
        #expect(text.contains("\n# TYPE holdfast_requests_total counter\n"))
        #expect(text.contains("\n# TYPE holdfast_build_info gauge\n"))
        #expect(!text.contains("# UNIT") && !text.contains("# EOF"))
    }

    @Test func `a figure that a process does not know is left out`() {
        let known = snapshot { $0.process.openDescriptors = 5 }
        let unknown = snapshot({ $0.process.openDescriptors = -1 }, pid: 2)
        #expect(overview([known]).text(.prometheus).contains("\nprocess_open_fds 5\n"))
        #expect(!overview([known, unknown]).text(.prometheus).contains("process_open_fds"))
    }

    @Test func `without an engine nothing is said of one`() {
        let alone = overview([snapshot { _ in }])
        #expect(!alone.text(.prometheus).contains("holdfast_engine"))
        #expect(!alone.text(.openMetrics).contains("holdfast_engine"))
        #expect(!members(alone).contains("engine"))
    }

    private var engine: EngineFigures {
        var figures = EngineFigures()
        (figures.head, figures.epoch, figures.lagMilliseconds) = (12, "k7f2", 1500)
        (figures.canPublish, figures.siteName, figures.machine) = (true, "the \"site\"", "two")
        figures.machines = ["one", "two"].map {
            EngineFigures.Machine(id: $0, name: "host-\($0)", applied: 10, behind: 5, seenAt: 7000)
        }
        figures.machinesAway = 1
        (figures.outboxMessages, figures.outboxMilliseconds) = (7, 61_500)
        return figures
    }

    @Test func `of several processes, the one that applies says how far the machine is`() throws {
        let other = snapshot { $0.engine = engine }
        let applying = snapshot(
            {
                var figures = engine
                (figures.head, figures.applied, figures.canFollow) = (11, 9, true)
                (figures.lagMilliseconds, figures.counters.groups) = (2500, 3)
                $0.engine = figures
            },
            pid: 2
        )
        let both = overview([other, applying])
        let text = both.text(.prometheus)
        for line in [
            "holdfast_engine_head 12", "holdfast_engine_applied 9", "holdfast_engine_lag_groups 2",
            "holdfast_engine_lag_seconds 2.5", "holdfast_engine_publishing 1",
            "holdfast_engine_following 1", "holdfast_engine_machines 2",
            "holdfast_engine_machines_away 1", "holdfast_engine_outbox 7",
            "holdfast_engine_outbox_seconds 61.5", "holdfast_engine_groups_total 3",
            "holdfast_engine_failures_total{outcome=\"unknown\"} 0",
        ] { #expect(text.contains("\n\(line)\n"), "\(line)") }
        #expect(both.text(.openMetrics).contains("# UNIT holdfast_engine_lag_seconds seconds\n"))
        // Machines may be many, and their names are for operators.
        #expect(!text.contains("host-") && !text.contains("two"))
        var bytes: [UInt8] = []
        both.appendMembers(to: &bytes, engine: engine, now: 10_000)
        let json = try JSON(Array("{".utf8) + bytes + Array("}".utf8))["engine"]
        #expect(json["lag_milliseconds"] == 2500 && json["lag_groups"] == 2)
        #expect(json["publishing"] == true && json["following"] == true)
        #expect(json["epoch"] == "k7f2" && json["site"] == "the \"site\"")
        #expect(json["machine"] == "two" && json["groups"] == 3)
        #expect(json["outbox"] == 7 && json["outbox_milliseconds"] == 61_500)
        // The other one as it was then, which lacks nothing of what came since; this one as it is.
        for (at, id, applied, behind) in [(0, "one", 10, 5), (1, "two", 9, 2)] {
            #expect(
                json["machines"][at]
                    == [
                        "id": .string(id), "name": .string("host-\(id)"), "seen_seconds_ago": 3,
                        "applied": .number(Double(applied)), "lag_groups": .number(Double(behind)),
                    ]
            )
        }
        // No process applies, or the one that does has not answered.
        let alone = overview([other])
        #expect(!alone.text(.prometheus).contains("holdfast_engine_applied "))
        bytes = []
        alone.appendMembers(to: &bytes, engine: engine, now: 10_000)
        let rest = try JSON(Array("{".utf8) + bytes + Array("}".utf8))["engine"]
        #expect(rest["following"] == .null && rest["applied"] == .null && rest["head"] == 12)
        #expect(rest["machines"][1]["applied"] == 10 && rest["machines"][1]["lag_groups"] == 5)
    }

    @Test func `a command where no process runs says nothing of the engine`() throws {
        let own = snapshot { $0.engine = engine }
        func report(_ snapshots: [Snapshot]) throws -> JSON {
            var bytes: [UInt8] = Array("{".utf8)
            Overview(isService: false, snapshots: snapshots, missing: 0)
                .appendMembers(to: &bytes, engine: engine, now: 10_000)
            return try JSON(bytes + Array("}".utf8))
        }
        let alone = try report([own])
        #expect(alone["engine"] == .null && alone["processes"] == [])
        #expect(try report([own, own])["engine"]["head"] == 12)
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
        let text = overview([one]).text(.prometheus)
        #expect(text.contains("_bucket{le=\"0.0001\"} 1\n"))
        #expect(text.contains("_bucket{le=\"0.0005\"} 3\n"))
        #expect(text.contains("_bucket{le=\"1.0\"} 3\n"))
        #expect(text.contains("_bucket{le=\"+Inf\"} 4\n"))
        #expect(text.contains("_count 4\n"))
    }
}
