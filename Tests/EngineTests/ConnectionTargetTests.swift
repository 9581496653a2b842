import Harness
import Testing

@testable import Engine

/// What a connection string leaves to the environment and to libpq.
@Suite(.enabled(if: PostgreSQL.isUsable)) struct ConnectionTargetTests {
    private func hosts(_ text: String) throws -> [[String]] {
        let target = try ConnectionTarget(text)
        return (0..<target.hosts).map { number in
            target.options(ofHost: number).filter { $0.keyword != "dbname" }
                .map { "\($0.keyword)=\($0.value)" }.filter {
                    $0.hasPrefix("host") || $0.hasPrefix("port")
                }
        }
    }

    @Test func `places that the string names stay as they are`() throws {
        #expect(try hosts("host=a,b port=1,2") == [["host=a", "port=1"], ["host=b", "port=2"]])
        #expect(try hosts("host=a,b port=7") == [["host=a", "port=7"], ["host=b", "port=7"]])
        #expect(
            try hosts("host=a,/run/x hostaddr=192.0.2.1, port=1")
                == [
                    ["host=a", "hostaddr=192.0.2.1", "port=1"],
                    ["host=/run/x", "hostaddr=", "port=1"],
                ]
        )
        #expect(
            try hosts("postgresql://a:1,b:2/site") == [
                ["host=a", "port=1"], ["host=b", "port=2"],
            ]
        )
    }
}
