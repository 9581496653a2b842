import Channels
import Configuration
import Core

/// What a request may end besides itself, and until when it ends.
extension World {
    /// What a request may end besides itself: what is on its connection, or of its subscriber, or the oldest if a bound
    /// is reached.
    func checkOthers(_ number: Int, _ place: Int) {
        let call = calls[number]
        let text = String(decoding: call.body, as: UTF8.self)
        let subscriber = call.kind == .leave ? Int(text.suffix(1)) : call.subscriber
        for (other, endings) in ended where other != number {
            let one = calls[other]
            if endings == .limit { checkOldest(other, number) }
            if one.wire == place || endings.contains(.limit) { continue }
            if lostMeanwhile.contains(other) { continue }
            if let subscriber, one.subscriber == subscriber { continue }
            fail(
                "call \(other) ends by call \(number), which has nothing to do with it",
                call: other
            )
        }
    }

    /// One that was ended at a bound is the oldest.
    private func checkOldest(_ number: Int, _ newcomer: Int) {
        let call = calls[number]
        guard let came = call.cameAt, call.kind == .poll else { return }
        let process = processes[call.process]
        let isOfAddress =
            process.settings.limits.heldPerAddress != nil
            && call.address == calls[newcomer].address
        for wire in process.wires where wire.isOpen && !wire.isEndTold {
            for other in wire.calls where other != newcomer && calls[other].state == .given {
                let one = calls[other]
                guard one.kind == .poll, one.cameAt ?? .max < came else { continue }
                if isOfAddress, one.address != call.address { continue }
                fail("call \(number) has given way, and call \(other) is older", call: number)
            }
        }
    }

    /// For as long as the log may be asked for one request, one question after the other.
    static let patience: Int64 = 31_000 + 2 * 250

    func setTime(_ number: Int, _ process: SimulatedProcess, isQueued: Bool) {
        let call = calls[number]
        // A deadline is met to the tick, and checked once a tick.
        let tick: Int64 = 2 * 64
        // Behind another request of its id, it may wait for that one's end.
        if isQueued, !call.isHeld {
            calls[number].endsAt = .max
            return
        }
        switch call.kind {
        case .poll:
            let most =
                call.isClassic ? call.wait : min(call.wait, process.settings.hold.maxWaitSeconds)
            let wait = Int64(most) * 1000 + tick
            calls[number].endsAt = call.givenAt + wait + (call.isHeld ? 0 : Self.patience)
            calls[number].hasAsked = !call.isHeld
            if call.isHeld, process.core.heldCount * 2 <= process.core.heldLimit {
                let hold = process.settings.hold
                let granted =
                    call.session?.channels.contains(Plan.grantedChannel) == true
                    || call.session?.channels.contains(Plan.closableChannel) == true
                let least = granted ? min(most, hold.grantedSeconds) : most
                calls[number].earliestEnd =
                    call.givenAt + Int64(least) * 10 * Int64(100 - hold.jitterPercent)
                if !granted { calls[number].spread = Int64(least * 10 * hold.jitterPercent) }
            }
        case .events, .lines:
            let life = Int64(process.settings.hold.streamSeconds) * 1000
            calls[number].endsAt = call.givenAt + life + tick + Self.patience
        case .publish: calls[number].endsAt = call.givenAt + 2000 + 500
        // Answered at once, unless others of the connection wait for their turn.
        case .leave, .presence: calls[number].endsAt = .max
        case .other where call.isHead: calls[number].endsAt = call.givenAt + Self.patience
        case .message, .listing, .other: calls[number].endsAt = call.givenAt + 10_300 + 500
        case .busLines: break
        }
        if let ends = call.rightEndsAt, calls[number].endsAt < .max {
            // A stream may be behind what its peer has not taken.
            let isPrompt = call.kind == .poll && call.isHeld
            let most = max(ends, now) + tick + (isPrompt ? 0 : Self.patience)
            calls[number].endsAt = min(calls[number].endsAt, most)
        }
    }

    /// After `-/leave`: nothing of the subscriber is held here.
    func checkLeft(_ number: Int, _ process: SimulatedProcess, told: Int) {
        // It may also have ended with its connection, and was not carried out then.
        let isAnswered = ended.contains { $0.call == number && $0.endings.isEmpty }
        guard violation == nil, isAnswered, !isEnding else { return }
        if process.hasSiblings, process.wordsTold == told {
            fail("the other processes are not told of call \(number)", call: number)
        }
        let text = String(decoding: calls[number].body, as: UTF8.self)
        guard let subscriber = Int(text.suffix(1)) else { return }
        for wire in process.wires where wire.isOpen && !wire.isEndTold {
            for other in wire.calls
            where calls[other].state == .given && calls[other].isHeld
                && calls[other].subscriber == subscriber
            {
                fail("call \(other) is held after its subscriber has left", call: other)
            }
        }
    }
}
