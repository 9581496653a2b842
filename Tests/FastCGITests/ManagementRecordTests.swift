import Testing

@testable import FastCGI

@Suite struct ManagementRecordTests {
    private let limits = FramingLimits(maxConnections: 1_000, maxRequests: 22_222)

    private func getValues(_ names: [String]) -> [UInt8] {
        var pairs: [UInt8] = []
        for name in names { NameValuePairs.append([UInt8](name), [], to: &pairs) }
        return Record.record(Record.getValues, id: 0, pairs)
    }

    private func result(_ values: KeyValuePairs<String, String>) -> [Seen] {
        [.askedValues, .reply(Record.record(Record.getValuesResult, id: 0, encodedPairs(values)))]
    }

    @Test func `known values are told, in the order asked`() {
        #expect(
            eventsHoweverCut(
                getValues(["FCGI_MPXS_CONNS", "FCGI_MAX_REQS", "FCGI_MAX_CONNS"]),
                limits: limits
            )
                == result([
                    "FCGI_MPXS_CONNS": "1", "FCGI_MAX_REQS": "22222", "FCGI_MAX_CONNS": "1000",
                ])
        )
    }

    @Test func `unknown names are left out`() {
        let names = ["FCGI_MAX_REQ", "FCGI_MAX_REQS2", "", "fcgi_max_reqs", "FCGI_MAX_REQS", "X"]
        #expect(
            eventsHoweverCut(getValues(names), limits: limits) == result(["FCGI_MAX_REQS": "22222"])
        )
        #expect(eventsHoweverCut(getValues([]), limits: limits) == result([:]))
    }

    @Test func `a name is answered once however often it is asked`() {
        let names = Array(repeating: "FCGI_MPXS_CONNS", count: 60)
        #expect(
            eventsHoweverCut(getValues(names), limits: limits) == result(["FCGI_MPXS_CONNS": "1"])
        )
    }

    @Test func `a value beside a name is ignored`() {
        let content = encodedPairs(["FCGI_MPXS_CONNS": "0"])
        #expect(
            eventsHoweverCut(Record.record(Record.getValues, id: 0, content))
                == result(["FCGI_MPXS_CONNS": "1"])
        )
    }

    @Test(arguments: [0, 2, 3, 4, 5, 8, 10, 11, 12, 255] as [UInt8])
    func `any other management record is answered as an unknown type`(type: UInt8) {
        let injected = encodedPairs(["INJECTED": "yes"])
        let seen = eventsHoweverCut(Record.record(type, id: 0, injected))
        #expect(seen == [.reply([1, 11, 0, 0, 0, 8, 0, 0, type, 0, 0, 0, 0, 0, 0, 0])])
    }

    @Test(arguments: RecordedRequest.all)
    func `management records inside a request are no part of it`(recorded: RecordedRequest) {
        let management =
            getValues(["FCGI_MAX_CONNS"])
            + Record.record(200, id: 0, encodedPairs(["INJECTED": "yes"]))
        var boundaries = [0]
        for length in Streams(recorded.bytes).recordLengths {
            boundaries.append(boundaries.last! + length)
        }
        let replies = result(["FCGI_MAX_CONNS": "1000"]) + [.reply(Record.unknownType(200))]
        for boundary in boundaries {
            let bytes = recorded.bytes[..<boundary] + management + recorded.bytes[boundary...]
            let seen = events(of: Array(bytes), limits: limits)
            let requestLast = boundary < recorded.bytes.count
            #expect(seen == (requestLast ? replies + [recorded.seen] : [recorded.seen] + replies))
            #expect(events(of: Array(bytes), cutAt: 1..<bytes.count, limits: limits) == seen)
        }
    }
}
