internal import Channels
internal import Endpoint

/// Rights that end while requests are held.
extension Responder {
    /// The ini file says something else about who may read: ends what waits for channels that were open to everyone and
    /// are not any more, and what a client of the bus socket may not read any more.
    ///
    /// Where the web server had granted the channel besides, this can't be known here: such a client comes back, and is let
    /// in. What was granted alone is bounded by `granted_life`.
    func judgeReaders(whoWere before: HTTPInterface) {
        func isClosed(_ channel: ChannelName) -> Bool {
            // The figures of the service are the operators', whatever the sections say.
            channel != .status && before.isOpenToEveryone(channel)
                && !interface.isOpenToEveryone(channel)
        }
        func isRevoked(_ wanted: Wanted, _ connection: Int32) -> Bool {
            guard let peer = busPeers[connection] else {
                return wanted.channels.contains(where: isClosed)
            }
            return !busInterface.mayRead(wanted.channels, peer.identity)
        }
        for interest in audience.all {
            for slot in held.slots(ofInterest: interest)
            where held.isHeld(slot) && isRevoked(audience[interest], held[slot].connection) {
                answerEmpty(slot, .revoked)
            }
        }
        for replay in replays.all
        where isRevoked(.stream(replay.stream), replay.requester.connection) {
            endReplay(replay, .revoked)
        }
        // Not held yet, but about to be.
        for (ticket, waiting) in pending {
            guard case .poll(let poll, _, _) = waiting.work,
                poll.subscription.channels.contains(where: isClosed), let waiting = take(ticket)
            else { continue }
            turnAway(poll, waiting.requester, .busy)
        }
    }
}
