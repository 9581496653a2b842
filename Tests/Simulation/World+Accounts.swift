import Channels
import Configuration
import Core

/// What a core counts, and what it sends to peers that do not read.
extension World {
    /// The counters of an event, against what was observed of it from outside.
    func checkAccount(_ process: SimulatedProcess, _ before: Counts, _ after: Counts) {
        let deliveries = after.deliveries - before.deliveries
        if deliveries != UInt64(process.account.deliveries) {
            fail("\(deliveries) deliveries are counted, \(process.account.deliveries) are told")
        }
        for (index, heard) in process.account.answers.enumerated()
        where after.answers[index] - before.answers[index] < heard {
            fail("\(heard) answers of the class \(index) came, and are not counted so")
        }
        // A newer request of a subscriber asks whether the peer of the older one has left.
        let superseded =
            after.endings[Ending.superseded.rawValue] - before.endings[Ending.superseded.rawValue]
        let others = ended.count { !isShown($0.call, process) }
        if superseded > others + maybeEnded {
            fail("a poll whose peer has left is counted as superseded", call: ended.first?.call)
        }
    }

    private func isShown(_ number: Int, _ process: SimulatedProcess) -> Bool {
        let call = calls[number]
        return call.kind == .poll && call.isHeld && process.wires[call.wire].peerClosed != .no
    }

    /// If its peer has not read what came before, a probe or a heartbeat shows nothing.
    func checkUnread(header: [UInt8], body: [UInt8], _ flags: Send.Flags, _ wire: Wire) {
        guard wire.unsentTold > 0, !flags.contains(.last), header.isEmpty, !body.isEmpty else {
            return
        }
        let isProbe = body.allSatisfy { $0 == UInt8(ascii: " ") }
        let isHeartbeat =
            body[0] == UInt8(ascii: ":") || body.starts(with: Array("{\"kind\":\"ping\"".utf8))
        guard isProbe || isHeartbeat else { return }
        fail(
            "connection \(wire.id.index) is \(isProbe ? "probed" : "sent a heartbeat"), "
                + "and its peer has not read \(wire.unsentTold) bytes"
        )
    }

    /// A stream gets no further piece of the log before it has read the one before. Others on its connection may be
    /// behind.
    func checkPiece(_ number: Int, _ flags: Send.Flags, _ wire: Wire) {
        guard flags.contains(.unbounded), !flags.contains(.last) else { return }
        var known = wire.unsentTold
        for chunk in wire.unsent where known > 0 {
            if chunk.call == number {
                return fail("call \(number) is sent more than it has read", call: number)
            }
            known -= chunk.bytes
        }
    }

    /// The token of a request must be valid when its turn comes.
    func checkRight(_ number: Int) {
        guard let ends = calls[number].rightEndsAt, ends < calls[number].blockedUntil else {
            return
        }
        fail("call \(number) is served, and its token was over before its turn", call: number)
    }

    /// A request of a subscriber is held: since each may have only one, the other processes were told to end theirs.
    func checkTold(_ number: Int, _ process: SimulatedProcess, since told: Int) {
        guard calls[number].subscriber != nil, process.hasSiblings,
            process.settings.limits.heldPerSubscriber == 1, process.wordsTold == told
        else { return }
        fail("the other processes are not told of call \(number)", call: number)
    }
}
