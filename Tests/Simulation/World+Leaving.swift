import Configuration
import Core

/// What shows after a probe, and that deadlines are spread.
extension World {
    /// A probe or a heartbeat goes out.
    func noteProbe(_ number: Int, header: [UInt8], body: [UInt8]) {
        guard header.isEmpty, Self.isProbe(body) || Self.isHeartbeat(body) else { return }
        let process = processes[calls[number].process]
        calls[number].probedAt = process.turn ?? now
    }

    static func isProbe(_ body: [UInt8]) -> Bool {
        !body.isEmpty && body.allSatisfy { $0 == UInt8(ascii: " ") }
    }

    static func isHeartbeat(_ body: [UInt8]) -> Bool {
        body.first == UInt8(ascii: ":") || body.starts(with: Array("{\"kind\":\"ping\"".utf8))
    }

    /// Streams may read the log again, and begin with another time of their heartbeats.
    func forgetProbes(_ process: SimulatedProcess) {
        for wire in process.wires where wire.isOpen {
            for number in wire.calls { calls[number].probedAt = nil }
        }
    }

    /// A departure right after a probe is counted as its doing, and no other one.
    func noteDepartures(_ process: SimulatedProcess) {
        switch cause {
        case .peerEnded, .lost(.closed): break
        default: return
        }
        for at in ended.indices where !lostMeanwhile.contains(ended[at].call) {
            let call = calls[ended[at].call]
            guard call.isHeld, call.kind != .busLines else { continue }
            if call.kind == .poll, !call.isProbed { ended[at].endings.remove(Endings(.probe)) }
            guard let probed = call.probedAt, probed > process.settledTime else { continue }
            switch (process.turn ?? now) - probed {
            case 0...180: ended[at].endings.remove(Endings(.closed))
            // Before the next one is due.
            case 260...900: ended[at].endings.remove(Endings(.probe))
            default: break
            }
        }
    }

    /// A poll has waited in vain until its deadline.
    func noteEnd(_ number: Int, _ process: SimulatedProcess) {
        let call = calls[number]
        guard call.spread >= 640 else { return }
        ends.append(((process.turn ?? now) - call.earliestEnd) * 1000 / call.spread)
    }

    /// Clients that come together do not come back together: of so many, some wait much longer than others.
    func checkSpread() {
        guard violation == nil, ends.count >= 16, let first = ends.min(), let last = ends.max()
        else { return }
        if last - first < 250 {
            fail("\(ends.count) polls have ended at the same time of their wait")
        }
    }
}
