import System
import Testing

@testable import Engine

/// How the names of hosts are looked up.
struct HostAddressesTests {
    private typealias Options = [(keyword: String, value: String)]

    private func added(to options: Options) throws -> [String] {
        try HostAddresses.added(to: options, deadline: soon).map { "\($0.keyword)=\($0.value)" }
    }

    @Test func `a host has its addresses beside its name, as passwords and certificates need it`()
        throws
    {
        let found = try HostAddresses.find("localhost", deadline: soon)
        #expect(found.contains("127.0.0.1") || found.contains("::1"))
        let names = found.map { _ in "localhost" }.joined(separator: ",")
        #expect(
            try added(to: [("host", "localhost"), ("port", "5")])
                == ["port=5", "host=\(names)", "hostaddr=\(found.joined(separator: ","))"]
        )
        #expect(try added(to: [("host", "127.0.0.2")]) == ["host=127.0.0.2", "hostaddr=127.0.0.2"])
    }

    @Test func `sockets and addresses are left as they are`() throws {
        for options: Options in [
            [("dbname", "a")], [("host", "/run/postgresql")], [("host", "@abstract")],
            [("host", "")],
            [("host", "nowhere.invalid"), ("hostaddr", "127.0.0.1")],
        ] {
            #expect(try added(to: options) == options.map { "\($0.keyword)=\($0.value)" })
        }
    }

    @Test func `publishers waited for name servers that do not answer`() throws {
        let bell = FutexWord()
        let lookUp: @Sendable (String) -> Result<[String], PostgresError> = { _ in
            while bell.value == 0 { bell.wait(whileEqual: 0, milliseconds: 1000) }
            return .success(["192.0.2.1"])
        }
        // Of a second caller, the look-up that is under way is the only one.
        for deadline in [0, MonotonicClock.milliseconds() + 20] {
            let error = #expect(throws: PostgresError.self) {
                try HostAddresses.find("silent", deadline: deadline, lookUp: lookUp)
            }
            #expect("\(error, default: "")".contains("do the name servers answer?"))
        }
        let answer = try HostAddresses.find("silent", deadline: soon, patience: 0) { _ in
            .success(["192.0.2.2"])
        }
        #expect(answer == ["192.0.2.2"])
        bell.ring()
        // Whichever look-up this one gets, it has an end now.
        #expect(try HostAddresses.find("silent", deadline: soon, lookUp: lookUp) == ["192.0.2.1"])
    }

    @Test func `a name that does not exist is said`() {
        let error = #expect(throws: PostgresError.self) {
            try HostAddresses.find("nowhere.invalid", deadline: soon) { name in
                .failure(.connection("the address of host \(name) is not found"))
            }
        }
        #expect("\(error, default: "")".contains("nowhere.invalid is not found"))
    }

    @Test func `what libpq says in several lines is one sentence`() {
        #expect(
            "server closed the connection\n\tThis means the server\n\twas ended.\n".trimmedLine
                == "server closed the connection; This means the server was ended"
        )
        #expect("FATAL:  no\nDETAIL:  why.\n".trimmedLine == "FATAL:  no; DETAIL:  why.")
    }
}
