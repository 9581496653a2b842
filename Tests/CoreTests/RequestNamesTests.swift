import Endpoint
import FastCGI
import Testing

@testable import Core

@Suite struct `The names of requests` {
    private var names = RequestNames(process: 0xab, isTracing: true)
    private let connection = ConnectionID(index: 3, generation: 1)

    private func address(_ id: UInt16, _ connection: ConnectionID? = nil) -> RequestAddress {
        RequestAddress(
            connection: connection ?? self.connection,
            id: RequestID(id)!,
            keepConnection: true
        )
    }

    private func given(_ text: String) -> RequestName? {
        Array(text.utf8).withUnsafeBytes { RequestName($0) }
    }

    private mutating func begin(_ id: UInt16, given name: String? = nil) -> RequestTrace? {
        names.act(on: address(id), RequestTag(number: UInt64(id), given: name.flatMap(given)))
        return names.begins(address(id), CGIRequest())
    }

    @Test mutating func `a request has the name that it was given, or the process and its number`()
    {
        #expect(names.name(of: address(7)) == nil)
        names.act(on: address(7), RequestTag(number: 42, given: nil))
        #expect(names.name(of: address(7))?.text == "000000ab-42")
        names.act(on: address(7), RequestTag(number: 43, given: given("abc")))
        #expect(names.name(of: address(7))?.text == "abc")
        // Only for this event, and only of this request.
        #expect(names.name(of: address(8)) == nil && names.tag(of: address(8)) == nil)
        #expect(names.tag(of: address(7))?.number == 43)
        names.forgetActing()
        #expect(names.name(of: address(7)) == nil && names.tag(of: address(7)) == nil)
    }

    @Test mutating func `a request that waits has its name again when it acts`() {
        names.act(on: address(7), RequestTag(number: 42, given: nil))
        let tag = names.tag(of: address(7))
        names.forgetActing()
        names.act(on: address(7), tag!)
        #expect(names.name(of: address(7))?.text == "000000ab-42")
    }

    @Test mutating func `a traced request keeps its name from its beginning to its end`() {
        let begun = begin(7)
        #expect(begun?.name.text == "000000ab-7")
        names.forgetActing()
        #expect(names.name(of: address(7))?.text == "000000ab-7")
        #expect(names.traced(address(7))?.text == "000000ab-7" && !names.isEmpty)
        let held = [names.held(address(7)), names.held(address(7))]
        #expect(held[0]?.name.text == "000000ab-7" && held[1] == nil)
        let ended = [
            names.ended(address(7), .answered(status: 200)), names.ended(address(7), .held),
        ]
        #expect(ended[0]?.name.text == "000000ab-7" && ended[1] == nil)
        #expect(names.isEmpty && names.name(of: address(7)) == nil)
    }

    @Test mutating func `a request whose beginning was not traced is not traced`() {
        #expect(names.held(address(7)) == nil && names.ended(address(7), .held) == nil)
        // Refused before its name was read.
        #expect(names.begins(address(7), CGIRequest()) == nil && names.isEmpty)
    }

    @Test mutating func `all are forgotten when requests are traced no more`() {
        _ = begin(7)
        names.trace(true)
        #expect(!names.isEmpty)
        names.trace(false)
        #expect(names.isEmpty && !names.isTracing)
        names.resume(address(8), given("abc"))
        #expect(names.isEmpty)
    }

    @Test mutating func `a hold of another process has been traced as held there`() {
        names.resume(address(7), nil)
        #expect(names.isEmpty)
        names.resume(address(7), given("abc"))
        #expect(names.traced(address(7))?.text == "abc" && names.held(address(7)) == nil)
    }

    @Test mutating func `those on a connection are listed in the order of their ids`() {
        for id: UInt16 in [9, 2, 300] { _ = begin(id) }
        let other = address(1, ConnectionID(index: 3, generation: 2))
        names.resume(other, given("abc"))
        #expect(names.addresses(on: connection).map(\.id.value) == [2, 9, 300])
    }
}
