/// Where a held request comes from: used by bounds, liveness and presence; no answer depends on it.
package struct RequestOrigin: Sendable {
    /// The hash of the client's secret id, the same in every process; nil without one.
    package var subscriber: UInt64?
    /// The hash of REMOTE_ADDR; nil without it.
    package var address: UInt64?
    package var frontEnd = FrontEnd(software: "", isForwarded: false)
    package var wish = ProbePolicy.Wish()
    /// The member that this request makes present.
    package var member: Member?
    /// The right by a token or a link without which it could not read.
    package var right: Right?
    /// The time of its arrival in monotonic nanoseconds, which the caller sets if there is a subscriber.
    package var arrivedAt: Int64 = 0

    package init() {}
}
