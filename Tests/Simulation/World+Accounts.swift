import Channels
import Configuration
import Core
import Endpoint
import Liveness

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
        for bound in Bound.allCases
        where after.bounds[bound.rawValue] - before.bounds[bound.rawValue]
            < process.account.bounds[bound.rawValue]
        {
            fail("the bound \(bound.label) was reached, and that is not counted")
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
        guard wire.unsentTold > 0 else { return }
        if case .peerEnded = cause {
            return fail(
                "connection \(wire.id.index) is sent more, and its peer leaves without reading"
            )
        }
        guard !flags.contains(.last), header.isEmpty, !body.isEmpty else { return }
        let isProbe = Self.isProbe(body)
        let isHeartbeat =
            Self.isHeartbeat(body) || body.starts(with: Array("event: status".utf8))
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

    /// Of a batch, no more is made at a time than the bound allows and the last piece exceeds. With a piece, some streams
    /// may get their end.
    func checkPortion(_ actions: borrowing Actions) {
        var (bytes, largest) = (0, 0)
        for at in 0..<actions.payloads.count {
            var size = actions.payloads[at].header.count
            if Int(actions.payloads[at].bodyIndex) == at { size += actions.payloads[at].body.count }
            bytes += size
            largest = max(largest, size)
        }
        if bytes - largest > plan.bytesAtOnce + 4096 { fail("\(bytes) bytes are made at a time") }
    }

    /// What was dropped with the same batch is not delivered.
    func checkDropped(_ messages: [Session.Given], _ number: Int) {
        guard let batch, !batch.trims.isEmpty else { return }
        for message in messages {
            let isDropped = batch.trims.contains {
                $0.channel.text == message.channel && message.id.offset <= $0.through
            }
            if isDropped {
                fail("call \(number) is given \(message.id), which is dropped", call: number)
            }
        }
    }

    /// The peer of a stream was told that it is too slow.
    func noteBound(_ bye: String, _ process: SimulatedProcess) {
        if bye == "slow" { process.account.bounds[Bound.unsentBytes.rawValue] += 1 }
    }

    /// A long-poll is probed only if that is wanted.
    func checkProbe(_ number: Int) {
        let process = processes[calls[number].process]
        guard process.settings.hold.probe == .off, !calls[number].wantsProbes,
            calls[number].coming > process.settledAt
        else { return }
        fail("call \(number) is probed, and probes are off", call: number)
    }

    /// A peer that only closed its sending side gets the end of what it was sent the beginning of.
    func checkLastWord(_ number: Int, _ wire: Wire) {
        let call = calls[number]
        let hasBegun = call.isStream || !call.received.isEmpty
        guard call.isHeld, hasBegun, wire.peerClosed == .sending, wire.unsentTold == 0 else {
            return
        }
        fail("call \(number) has begun, and just stops", call: number)
    }

    /// A load balancer is told to send clients elsewhere for as long as, and no longer than, something is wrong.
    func checkReady(_ number: Int, isReady: Bool) {
        let process = processes[calls[number].process]
        let isWell = process.knowsLog && process.engineTrouble == nil && !process.isStopping
        if isReady != isWell {
            fail(
                "call \(number) is told that the service is ready, or not, and it is not so",
                call: number
            )
        }
    }

    /// Each request that is traced begins once and ends once.
    func checkTrace(_ trace: RequestTrace, _ process: SimulatedProcess) {
        let name = trace.name.text
        let known = process.traced[name]
        note("process \(process.index) traces \(name): \(trace.event)")
        switch trace.event {
        case .begins:
            if known != nil { fail("the request \(name) begins twice") }
            process.traced[name] = false
        case .held:
            if known != false {
                fail("the request \(name) is held, and is so already or has not begun")
            }
            process.traced[name] = true
        case .answered, .ended:
            if known == nil { fail("the request \(name) ends, and has not begun or has ended") }
            process.traced[name] = nil
        }
    }

    /// The token of a request must be valid when its turn comes.
    func checkRight(_ number: Int) {
        guard let ends = calls[number].rightEndsAt else { return }
        if ends < calls[number].blockedUntil {
            fail("call \(number) is served, and its token was over before its turn", call: number)
        }
        if ends <= calls[number].shownAt {
            fail("call \(number) is served by what was over when it came", call: number)
        }
    }

    /// A request of a subscriber is held: since each may have only one, the other processes were told to end theirs.
    func checkTold(_ number: Int, _ process: SimulatedProcess, since told: Int) {
        guard calls[number].subscriber != nil, process.hasSiblings,
            process.settings.limits.heldPerSubscriber == 1, process.wordsTold == told
        else { return }
        fail("the other processes are not told of call \(number)", call: number)
    }
}
