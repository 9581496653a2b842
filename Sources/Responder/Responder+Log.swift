internal import Channels
internal import Configuration
internal import Core
internal import Endpoint
internal import Glibc
internal import Logging

/// Messages of other threads: of the log, and of the one that waits for the lock of the bus.
extension Responder {
    func receive(_ event: ThreadEvent) throws(LogUnavailable) {
        switch event {
        case .log(let event, let nanoseconds): try receive(event, toldAt: nanoseconds)
        case .serving(let attempt, let outcome):
            bus.answered(attempt, outcome, isWanted: !isStopping, now: now)
        }
    }

    private func receive(_ event: Channels.LogEvent, toldAt nanoseconds: Int64)
        throws(LogUnavailable)
    {
        switch event {
        case .opened(let state):
            telemetry.logOpened()
            logger.notice(
                "log open",
                metadata: [
                    "directory": "\(settings.bus.directory)", "epoch": "\(state.epochs.current)",
                    "head": "\(state.head)",
                ]
            )
        case .unavailable(let sentence, let isLasting):
            // A log that cannot be opened at the start is a mistake in the setup, which must be reported at once.
            guard core.position != nil else {
                throw LogUnavailable(sentence: sentence, isLasting: isLasting)
            }
            if telemetry.logFailed(sentence) {
                logger.error("\(sentence)")
                supervision.says(statusLine, now: now)
            }
        case .notice(let sentence, let level): journal.note(sentence, level)
        default: break
        }
        if case .opened = event {
            core.log(event, toldAt: nanoseconds, at: moment)
            drain()
            logOpened()
        } else {
            core.log(event, toldAt: nanoseconds, at: clock.moment)
            drain()
            if case .engine = event { supervision.says(statusLine, now: now) }
        }
    }

    /// The log is open, perhaps in a directory that replaced the old one.
    private func logOpened() {
        entrance.logOpened()
        if lifetime.isService { siblings.open(settings.bus, now: now) }
        takeOver.logOpened()
        if !takeOver.isWaiting { beginServing() }
        if let descriptor = lifetime.takeClient() {
            let identity = LocalPeer(user: geteuid(), groups: [getegid()], isOwner: true)
            welcome(connections.add(descriptor, isBusSocket: true), identity)
        }
    }
}

extension Responder {
    /// No other process serves, and the log is open, perhaps in another directory.
    func beginServing() {
        guard core.position != nil else { return }
        askToServe()
        if lifetime.isService { handOver.open(settings.bus, listen: offeredAddress) }
        // A manager does not accept messages of this process before the older one has named it as the service.
        if takeOver.predecessor == nil { supervision.isServing(statusLine, now: now) }
    }
}

/// The log could not be opened when the process started.
package struct LogUnavailable: Error, CustomStringConvertible {
    /// The reason, in the log's words.
    let sentence: String
    /// Another attempt fails, too, until somebody does what the sentence says.
    package let isLasting: Bool

    package var description: String {
        "not started: \(sentence)" + (isLasting ? "" : " (see [bus] in the ini file)")
    }
}
