import Harness
import Testing

/// What monitoring reads: the figures, and the dashboard and rules in conf/grafana/ that stand on them.
@Suite(.enabled(if: Tool.usable(.python), "python3 is not installed"))
struct FiguresTests: SiteMachines {
    @Test(.enabled(if: PostgreSQL.isUsable, "PostgreSQL is not installed"))
    func `Prometheus' parsers read both formats, and each name in conf/grafana exists`() throws {
        // With an engine, for that has figures of its own.
        let directory = try TestDirectory()
        let engine = try PostgreSQL(directory: directory, settings: ["fsync=off"])
        let server = try joined(1, engine.options)[0]
        try server.start()
        do {
            try waitUntil("all figures are known") {
                let metrics = try server.metrics()
                return metrics["holdfast_engine_applied"] >= 0
                    && metrics["holdfast_engine_machines"] == 1
            }
            func figures(_ accept: String) throws -> HTTPAnswer {
                try server.exchange(
                    FastCGIRequest(
                        "GET",
                        "/push/-/metrics",
                        fields: ["Accept": accept],
                        params: [("HOLDFAST_OPERATOR", "1")]
                    )
                )
            }
            let openMetrics = try figures(
                "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4"
            )
            #expect(
                openMetrics["Content-Type"]
                    == "application/openmetrics-text; version=1.0.0; charset=utf-8"
            )
            let text = try figures("*/*")
            #expect(text["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8")
            let result = try ChildProcess.run(
                try Tool.python.path,
                [
                    "\(Place.root)/Tests/EndToEndTests/Support/figures.py",
                    try server.directory.write(openMetrics.text, to: "openmetrics"),
                    try server.directory.write(text.text, to: "prometheus"),
                    "\(Place.root)/conf/grafana",
                ],
                directory: server.directory
            )
            #expect(
                result.exit == .exited(0),
                "\(String(decoding: result.output, as: UTF8.self))\(result.error)"
            )
        }
        try server.finish()
    }

    @Test func `the log is JSON or logfmt where the ini file says so, until a reload`() throws {
        try HoldfastServer.with("[log]\nformat = json\n") { server in
            // Which lines are errors is read from text.
            server.expectsErrors = true
            let lines = server.log.split(separator: "\n")
            #expect(!lines.isEmpty)
            for line in lines {
                let event = try JSON(Array(line.utf8))
                #expect(event["time"] != .null && event["level"] != .null)
                #expect(event["message"] != .null)
            }
            try server.writeSettings("[log]\nformat = logfmt\nlevel = debug\n")
            server.reload()
            try waitUntil("a line in the new format") { server.log.contains("level=notice msg=") }
        }
    }
}
