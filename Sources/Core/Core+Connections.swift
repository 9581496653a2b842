package import Endpoint

/// Connections: that they come and go, and what their peers have not taken.
extension Core {
    /// A web server has connected.
    package mutating func connected(_ connection: ConnectionID) {
        fatalError("not written yet")
    }

    /// A client of the bus socket has connected.
    package mutating func connected(_ connection: ConnectionID, client: LocalPeer) {
        fatalError("not written yet")
    }

    /// The peer has closed its sending side, or all: nobody waits behind it for a message any more. What was published is
    /// still answered. A client of the bus socket still waits for answers and messages; one that is wholly gone is lost
    /// instead.
    package mutating func peerEnded(_ connection: ConnectionID, at moment: Moment) {
        fatalError("not written yet")
    }

    /// The shell has given the connection up: what it holds ends without a word. Not for those that the core has dropped.
    package mutating func connectionLost(
        _ connection: ConnectionID,
        _ loss: Loss,
        at moment: Moment
    ) {
        fatalError("not written yet")
    }

    /// What the peer has not taken yet, as often as that changes: after a send that left something, and after each piece
    /// that it has taken since; 0: everything.
    package mutating func unsent(_ connection: ConnectionID, bytes: Int) {
        fatalError("not written yet")
    }

    /// Whether the connection is of use, as far as the core knows.
    package func standing(of connection: ConnectionID) -> Standing {
        fatalError("not written yet")
    }

    /// What it makes the process keep; `.account` tells of changes.
    package func kept(of connection: ConnectionID) -> Kept {
        fatalError("not written yet")
    }

    /// Others than web servers have taken the descriptors: the oldest hold is sent away, and its connection is done.
    ///
    /// - Returns: that connection; nil where nothing is held.
    package mutating func giveWay(at moment: Moment) -> ConnectionID? {
        fatalError("not written yet")
    }
}
