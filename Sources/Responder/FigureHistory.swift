internal import Text

/// The last five minutes of the figures that the status page draws, so that its charts are full when it is opened.
///
/// Time is cut into slots of five seconds of the monotonic clock, which all processes of a machine share: the slots of
/// several processes can be added up. A slot has the value of a gauge at its end, and what a counter counted in it. At
/// most 60 slots are kept, with one number for each figure and one more: some 8 kB.
struct FigureHistory {
    struct Slot: Equatable {
        /// Of the slot since the start of the clock.
        let number: Int64
        /// In the order of `figures`.
        let values: [Int64]
    }

    static let slotSeconds = 5
    static let slotLimit = 60
    /// Indices in `Figure.all`.
    static let figures = Figure.all.indices.filter { index in
        guard let path = Figure.all[index].path else { return false }
        return ["held", "deliveries", "log.messages"].contains(path) || path.hasPrefix("ended.")
    }

    /// Oldest first. A slot in which the process did not run is missing.
    private(set) var slots: [Slot] = []
    /// What the counters had counted at the end of the last slot.
    private var totals = [Int64](repeating: 0, count: figures.count)
    /// Monotonic milliseconds of the end of the present slot.
    private(set) var dueAt: Int64

    fileprivate static let slotMilliseconds = Int64(slotSeconds) * 1000

    /// - Parameter now: monotonic milliseconds; counters begin at 0 here.
    init(now: Int64) { dueAt = (now / Self.slotMilliseconds + 1) * Self.slotMilliseconds }

    var handed: HandedFigureHistory { HandedFigureHistory(slots: slots, totals: totals) }

    /// - Parameter totals: what was counted before, where no history of the same figures is handed over.
    mutating func resume(_ handed: HandedFigureHistory?, totals: [Int64]) {
        self.totals = handed?.totals ?? totals
        if let handed { slots = handed.slots }
    }

    /// Ends the present slot.
    ///
    /// - Parameter values: in the order of `figures`.
    mutating func record(_ values: [Int64], now: Int64) {
        let present = now / Self.slotMilliseconds
        dueAt = (present + 1) * Self.slotMilliseconds
        let slot = zip(Self.figures, zip(values, totals)).map { figure, value in
            Figure.all[figure].kind == .gauge ? value.0 : value.0 - value.1
        }
        totals = values
        slots.append(Slot(number: present - 1, values: slot))
        if slots.count > Self.slotLimit { slots.removeFirst() }
    }
}

/// The history of a process, for one that takes over.
struct HandedFigureHistory: Packable {
    let slots: [FigureHistory.Slot]
    let totals: [Int64]

    init(slots: [FigureHistory.Slot], totals: [Int64]) {
        (self.slots, self.totals) = (slots, totals)
    }

    private static var names: [String] { FigureHistory.figures.map { Figure.all[$0].sample } }

    func pack(into pack: inout Packer) {
        pack.add(Self.names)
        pack.add(totals)
        pack.add(number: UInt64(slots.count))
        for slot in slots {
            pack.add(slot.number)
            pack.add(slot.values)
        }
    }

    /// Empty if it has other figures.
    init(from pack: inout Unpacker) throws(UnpackError) {
        let names: [String] = try pack.value()
        let totals: [Int64] = try pack.value()
        var slots: [FigureHistory.Slot] = []
        for _ in 0..<(try pack.count()) {
            slots.append(FigureHistory.Slot(number: try pack.value(), values: try pack.value()))
        }
        let isSame =
            names == Self.names && slots.count <= FigureHistory.slotLimit
            && ([totals] + slots.map(\.values)).allSatisfy { $0.count == names.count }
        self.init(slots: isSame ? slots : [], totals: isSame ? totals : [])
    }

    /// Whether it has the figures that this release keeps.
    var isUsable: Bool { totals.count == FigureHistory.figures.count }
}

extension [[FigureHistory.Slot]] {
    /// Appends the member `history`: for each figure an array with a number for each slot, oldest first, null where no
    /// process ran.
    ///
    /// - Parameter now: monotonic milliseconds.
    func appendHistory(to bytes: inout [UInt8], now: Int64) {
        let present = now / FigureHistory.slotMilliseconds
        let recent = present - Int64(FigureHistory.slotLimit)..<present
        var sums: [Int64: [Int64]] = [:]
        var newest: [Int64] = []
        for slots in map({ $0.filter { recent.contains($0.number) } }) {
            if let last = slots.last { newest.append(last.number) }
            for slot in slots {
                let sum = sums[slot.number].map { zip($0, slot.values).map { $0.adding($1) } }
                sums[slot.number] = sum ?? slot.values
            }
        }
        guard let first = sums.keys.min(), let end = newest.max() else { return }
        // A process that has not ended the newest slot yet would show as a dip in it.
        let last = Swift.max(newest.min() ?? end, end - 1)
        bytes.append(member: "history")
        bytes.openObject()
        bytes.append(member: "slot_seconds", FigureHistory.slotSeconds)
        bytes.append(
            member: "ended_milliseconds_ago",
            Int(now - (last + 1) * FigureHistory.slotMilliseconds)
        )
        Figure.append(FigureHistory.figures, to: &bytes) { index, bytes in
            let place = FigureHistory.figures.firstIndex(of: index) ?? 0
            bytes.openArray()
            for number in first...last {
                bytes.beginElement()
                if let sum = sums[number] {
                    bytes.append(decimal: Int(sum[place]))
                } else {
                    bytes.append("null")
                }
            }
            bytes.closeArray()
        }
        bytes.closeObject()
    }
}
