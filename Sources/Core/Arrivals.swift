internal import Configuration
internal import Liveness

/// Which held requests came first: of all, of a subscriber, and of a client's address.
struct Arrivals {
    private(set) var all: ArrivalLine
    private(set) var subscribers = ArrivalOrder<UInt64>()
    private(set) var addresses = ArrivalOrder<UInt64>()
    /// Monotonic nanoseconds at which the requests of subscribers came, by slot.
    private var times: ContiguousArray<Int64> = []

    /// `room`: as in `HeldTable`.
    init(room: Int) { all = ArrivalLine(room: room) }

    var isEmpty: Bool { all.isEmpty && subscribers.isEmpty && addresses.isEmpty }

    /// - Parameter origin: nil for a client of the bus socket.
    mutating func add(_ slot: HeldTable.Slot, _ origin: RequestOrigin?, boundsAddresses: Bool) {
        all.append(slot)
        guard let origin else { return }
        if boundsAddresses, let address = origin.address { addresses.append(slot, of: address) }
        guard let subscriber = origin.subscriber else { return }
        subscribers.append(slot, of: subscriber)
        while times.count <= Int(slot) { times.append(0) }
        times[Int(slot)] = origin.arrivedAt
    }

    mutating func remove(_ slot: HeldTable.Slot) {
        all.remove(slot)
        subscribers.remove(slot)
        addresses.remove(slot)
    }

    /// Where a held request comes from, without its front end.
    func origin(of slot: HeldTable.Slot) -> RequestOrigin {
        var origin = RequestOrigin()
        origin.subscriber = subscribers.owner(of: slot)
        origin.address = addresses.owner(of: slot)
        if origin.subscriber != nil { origin.arrivedAt = times[Int(slot)] }
        return origin
    }

    /// When a subscriber's request came.
    func time(of slot: HeldTable.Slot) -> Int64 { times[Int(slot)] }
}
