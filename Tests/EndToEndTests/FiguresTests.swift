import Harness
import Testing

/// What monitoring reads: the figures, and the dashboard and rules in conf/grafana/ that stand on them.
@Suite(.enabled(if: Tool.usable(.python), "python3 is not installed"))
struct FiguresTests {
    @Test func `Prometheus' parsers read both formats, and each name in conf/grafana exists`()
        throws
    {
        try HoldfastServer.with { server in
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
