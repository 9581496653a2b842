package import Endpoint
internal import FastCGI

/// The name of a request: the one that the web server gave it, or else one made of the process and a number.
struct RequestTag {
    let number: UInt64
    let given: RequestName?
}

/// An event of a request, for the process's log at the level debug.
package struct RequestTrace: Sendable {
    package enum Event: Sendable {
        /// Its method and path, without the query, in which tokens may stand.
        case begins(method: String, path: String)
        case held
        case answered(status: Int)
        /// How a request ended without an answer of its own, or after it was held.
        case ended(String)
    }

    package let name: RequestName
    package let event: Event
}

/// The names of requests. A hold keeps none, so that names cost no memory; but while requests are traced, all that are
/// under way are remembered.
struct RequestNames {
    private struct Traced {
        let name: RequestName
        var isHeld = false
    }

    /// Identifies the process.
    private let process: UInt32
    /// The request that the current event is about.
    private var acting: (address: RequestAddress, tag: RequestTag)?
    private var traced: [RequestAddress: Traced] = [:]
    /// Whether requests are traced.
    private(set) var isTracing: Bool

    init(process: UInt32, isTracing: Bool) {
        (self.process, self.isTracing) = (process, isTracing)
    }

    var isEmpty: Bool { traced.isEmpty }

    /// Another event begins.
    mutating func forgetActing() { acting = nil }

    /// The rest of this event is about a request.
    mutating func act(on address: RequestAddress, _ tag: RequestTag) { acting = (address, tag) }

    /// The tag of the current request, to be kept while it waits.
    func tag(of address: RequestAddress) -> RequestTag? {
        acting.flatMap { $0.address == address ? $0.tag : nil }
    }

    /// Nil for a request that was refused before its name was read.
    func name(of address: RequestAddress) -> RequestName? {
        tag(of: address).map { name($0) } ?? traced[address]?.name
    }

    /// The name of a request whose beginning was traced, and its end was not.
    func traced(_ address: RequestAddress) -> RequestName? { traced[address]?.name }

    private func name(_ tag: RequestTag) -> RequestName {
        tag.given ?? RequestName(process: process, number: tag.number)
    }

    // MARK: Tracing

    /// Whether requests are traced from now on.
    mutating func trace(_ isTracing: Bool) {
        self.isTracing = isTracing
        if !isTracing { traced = [:] }
    }

    /// - Returns: what to log.
    mutating func begins(_ address: RequestAddress, _ request: borrowing CGIRequest)
        -> RequestTrace?
    {
        guard let name = name(of: address) else { return nil }
        traced[address] = Traced(name: name)
        return RequestTrace(
            name: name,
            event: .begins(method: request.method ?? "GET", path: request.tracedPath)
        )
    }

    /// A held request of another process, which has traced that it is held.
    mutating func resume(_ address: RequestAddress, _ name: RequestName?) {
        guard isTracing, let name else { return }
        traced[address] = Traced(name: name, isHeld: true)
    }

    /// - Returns: what to log; nil if it was held before.
    mutating func held(_ address: RequestAddress) -> RequestTrace? {
        guard let one = traced[address], !one.isHeld else { return nil }
        traced[address]?.isHeld = true
        return RequestTrace(name: one.name, event: .held)
    }

    /// - Returns: what to log.
    mutating func ended(_ address: RequestAddress, _ event: RequestTrace.Event) -> RequestTrace? {
        traced.removeValue(forKey: address).map { RequestTrace(name: $0.name, event: event) }
    }

    /// All that are under way on a connection.
    func addresses(on connection: ConnectionID) -> [RequestAddress] {
        traced.keys.filter { $0.connection == connection }.sorted { $0.id.value < $1.id.value }
    }
}

extension Core {
    /// Traces an event of a request if requests are traced.
    mutating func trace(
        _ make: (inout RequestNames) -> RequestTrace?
    ) {
        guard names.isTracing, let trace = make(&names) else { return }
        actions.append(.trace(trace))
    }

    mutating func traceEnd(_ address: RequestAddress, _ ending: Ending) {
        trace { $0.ended(address, .ended(ending.label)) }
    }

    mutating func traceEnd(_ replay: Replay, _ ending: Ending) {
        if case .request(let address) = replay.recipient { traceEnd(address, ending) }
    }

    /// The connection is given up, with all that waited on it.
    mutating func traceEnd(_ connection: ConnectionID, _ ending: Ending) {
        guard names.isTracing else { return }
        for address in names.addresses(on: connection) { traceEnd(address, ending) }
    }
}
