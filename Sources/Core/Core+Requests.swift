package import Endpoint
package import FastCGI

/// Requests of web servers, from what the shell has framed and decoded to an answer, a hold, or a question to the log.
extension Core {
    /// Whether `judge` may be asked about a request whose variables have come; what comes behind another request of its id
    /// is looked at in its turn, and kept until then.
    package func mayJudge(_ id: RequestID, on connection: ConnectionID) -> Bool {
        fatalError("not written yet")
    }

    /// A request's variables have come, and its body has not: refuses it at once if they are reason enough.
    package mutating func judge(
        _ head: borrowing CGIRequest,
        from address: RequestAddress,
        at moment: Moment
    ) -> HeadVerdict {
        fatalError("not written yet")
    }

    /// A whole request. One with the id of another that still waits for the log is kept for its turn.
    ///
    /// - Parameters:
    ///   - size: the memory that it takes if it is kept.
    ///   - mayWait: there is room for so much.
    package mutating func request(
        _ request: borrowing CGIRequest,
        from address: RequestAddress,
        size: Int,
        mayWait: Bool,
        at moment: Moment
    ) {
        fatalError("not written yet")
    }

    /// FCGI_ABORT_REQUEST for a request that is whole.
    package mutating func aborted(_ id: RequestID, on connection: ConnectionID, at moment: Moment) {
        fatalError("not written yet")
    }

    /// The peer asks about multiplexing: a second request says nothing about the first.
    package mutating func askedAboutMultiplexing(_ connection: ConnectionID) {
        fatalError("not written yet")
    }

    /// A request that ended in its framing, with the records that end it.
    package mutating func refused(
        _ address: RequestAddress,
        records: [UInt8],
        at moment: Moment
    ) {
        fatalError("not written yet")
    }

    /// A request whose variables are too many or too long.
    package mutating func oversized(_ address: RequestAddress, at moment: Moment) {
        fatalError("not written yet")
    }

    /// Requests of one connection that have not come completely, while others need their room: they are answered now, and
    /// the rest of them is passed over; the connection is dropped where there are none.
    package mutating func gaveUp(
        _ addresses: [RequestAddress],
        on connection: ConnectionID,
        at moment: Moment
    ) {
        fatalError("not written yet")
    }

    /// The shell has made the answer, as to `Errand.page`.
    package mutating func answer(_ answer: Answer, to address: RequestAddress) {
        fatalError("not written yet")
    }
}
