/// The time on two clocks.
package struct Clock: Equatable, Sendable {
    /// Milliseconds since 1970.
    package let wallMilliseconds: Int64
    package let monotonicMilliseconds: Int64

    package init(wallMilliseconds: Int64 = 0, monotonicMilliseconds: Int64 = 0) {
        self.wallMilliseconds = wallMilliseconds
        self.monotonicMilliseconds = monotonicMilliseconds
    }

    /// The monotonic time at which the wall clock shows this, unless it is set meanwhile.
    func monotonic(of wall: Int64) -> Int64 {
        monotonicMilliseconds + min(max(wall - wallMilliseconds, 0), 1 << 40)
    }

    /// The time when the monotonic clock shows this.
    package func at(monotonic: Int64) -> Clock {
        Clock(
            wallMilliseconds: wallMilliseconds + monotonic - monotonicMilliseconds,
            monotonicMilliseconds: monotonic
        )
    }
}
