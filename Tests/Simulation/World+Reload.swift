import Channels
import Configuration
import Core

/// The ini file is read again.
extension World {
    func reload(_ process: SimulatedProcess) {
        process.begin(with: drawnSettings(process))
        process.settledAt = comings
        process.settledTime = process.turn ?? now
        let new = process.settings
        note("process \(process.index) reads its ini file again")
        let links = process.core.links
        tell(process, .reload) { core, moment in core.reload(new, numbers: [:], at: moment) }
        if process.core.links != links { fail("a reload changes how many links were shown") }
        checkAllowed(process)
    }

    /// Those in force after the ini file has been changed somehow.
    func drawnSettings(_ process: SimulatedProcess) -> Settings {
        var settings = plan.settings
        process.isClosed = chance.happens(500)
        settings.allow = Plan.rules(closed: process.isClosed)
        if chance.happens(150) { settings.keys = [] }
        if chance.happens(200) { settings.presence = Plan.presence(&chance) }
        if chance.happens(300) {
            let hold = settings.hold
            Plan.draw(&settings.hold, &chance)
            // Clients know it.
            settings.hold.maxWaitSeconds = hold.maxWaitSeconds
        }
        if chance.happens(300) {
            let bound = settings.limits.heldPerAddress
            Plan.draw(&settings.limits, &chance)
            // What is held meanwhile does not count for a bound that comes later.
            settings.limits.heldPerAddress = bound
        }
        if chance.happens(200) { settings.log.level = .debug }
        let new = process.settings.reloaded(with: settings)
        if new.presence != process.settings.presence { process.presenceSettledAt = comings }
        return new
    }

    /// Nobody goes on reading what is open no longer.
    func checkAllowed(_ process: SimulatedProcess) {
        guard violation == nil else { return }
        for wire in process.wires where wire.isOpen && !wire.isEndTold {
            for number in wire.calls where calls[number].state == .given {
                check(number, wire, process)
            }
        }
    }

    private func check(_ number: Int, _ wire: Wire, _ process: SimulatedProcess) {
        let call = calls[number]
        guard call.isHeld || call.kind == .poll && call.hasAsked else { return }
        if call.rightEndsAt != nil, process.settings.keys.isEmpty {
            fail("call \(number) reads by a key that is gone", call: number)
        }
        guard process.isClosed, call.session?.channels.contains(Plan.closableChannel) == true
        else { return }
        // The owner of the socket may read everything.
        if case .bus(let client) = wire.kind, client % 2 == 0 { return }
        fail("call \(number) reads what is closed", call: number)
    }
}
