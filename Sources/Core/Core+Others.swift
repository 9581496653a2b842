package import Channels
package import Configuration
package import Liveness

/// The other processes of the bus, the operator, and what they are told.
extension Core {
    // MARK: The other processes

    /// Whether there are any.
    package mutating func siblings(arePresent: Bool, at moment: Moment) {
        fatalError("not written yet")
    }

    /// What one of them says of a subscriber.
    package mutating func heard(_ word: SubscriberWord, at moment: Moment) {
        fatalError("not written yet")
    }

    /// Who is on which channels in one of them.
    package mutating func heard(_ members: [PresentMember], at moment: Moment) {
        fatalError("not written yet")
    }

    /// What came of a survey. Nothing happens if nobody waits for it any more.
    package mutating func surveyed(_ ticket: Ticket, _ result: SurveyResult, at moment: Moment) {
        fatalError("not written yet")
    }

    /// The figures for those who watch them, as members of a JSON object without its braces.
    package mutating func figures(_ members: [UInt8], at moment: Moment) {
        fatalError("not written yet")
    }

    // MARK: The operator

    /// The ini file was read again; `settings` as they are in force now.
    package mutating func reload(
        _ settings: Settings,
        numbers: [LocalPrincipal: UInt32],
        at moment: Moment
    ) {
        fatalError("not written yet")
    }

    /// The process stops: everything that is held is answered, and nothing is held or queued any more.
    package mutating func stop(at moment: Moment) {
        fatalError("not written yet")
    }

    /// Each connection is done from now on when nothing goes on on it, whether its web server wants to keep it or not.
    package mutating func keepNoConnections() {
        fatalError("not written yet")
    }

    // MARK: Figures

    /// Requests that are held, also streams that still read the log.
    package var heldCount: Int { fatalError("not written yet") }
    /// How many may be held.
    package var heldLimit: Int { fatalError("not written yet") }
    /// Distinct things that held requests wait for.
    package var interestCount: Int { fatalError("not written yet") }
    /// What waits for the log or for other processes.
    package var waitingCount: Int { fatalError("not written yet") }
    /// Members on all channels.
    package var memberCount: Int { fatalError("not written yet") }
    /// Every channel that somebody holds something about, and how many.
    package var holders: [(channel: ChannelName, count: Int)] { fatalError("not written yet") }
    /// What is known of the front ends.
    package var policy: ProbePolicy { fatalError("not written yet") }
    /// Whether long-polls behind this front end are probed, as its last request said.
    package func isProbed(_ place: ProbePolicy.Place) -> Bool { fatalError("not written yet") }
    /// Between two probes behind it.
    package func probeMilliseconds(_ place: ProbePolicy.Place) -> Int64 {
        fatalError("not written yet")
    }
    /// How long a stream behind it lives.
    package func streamSeconds(_ place: ProbePolicy.Place) -> Int { fatalError("not written yet") }
    /// All tables are empty, as they are once everybody has left and the log has answered everything.
    package var isEmpty: Bool { fatalError("not written yet") }
}
