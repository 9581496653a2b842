/// Held requests in order of arrival, for each owner: an owner that reaches a bound loses its oldest.
///
/// An owner is what a bound applies to: a subscriber, or a client's address. Twelve bytes for each slot of the held
/// table up to the highest one in use here.
struct ArrivalOrder<Owner: Hashable> {
    private struct Place {
        /// Of the owner's line; -1: not in any.
        var line: Int32 = -1
        var next: HeldTable.Slot = -1
        var previous: HeldTable.Slot = -1
    }

    private struct Line {
        let owner: Owner
        var oldest: HeldTable.Slot = -1
        var newest: HeldTable.Slot = -1
        /// As wide as a slot: most owners hold one request, and a line is 24 bytes this way.
        var count: Int32 = 0
    }

    private var places: ContiguousArray<Place> = []
    private var lines: ContiguousArray<Line?> = []
    private var freeLines: [Int32] = []
    private var lineOfOwner: [Owner: Int32] = [:]

    var isEmpty: Bool { lineOfOwner.isEmpty }

    func count(of owner: Owner) -> Int {
        Int(lineOfOwner[owner].flatMap { lines[Int($0)]?.count } ?? 0)
    }

    func oldest(of owner: Owner) -> HeldTable.Slot? {
        lineOfOwner[owner].flatMap { lines[Int($0)]?.oldest }
    }

    /// All of an owner's, the oldest first.
    func slots(of owner: Owner) -> [HeldTable.Slot] {
        var found: [HeldTable.Slot] = []
        var at = oldest(of: owner) ?? -1
        while at >= 0 {
            found.append(at)
            at = places[Int(at)].next
        }
        return found
    }

    /// The owner of a slot; nil if it is not in the order.
    func owner(of slot: HeldTable.Slot) -> Owner? {
        guard Int(slot) < places.count, places[Int(slot)].line >= 0 else { return nil }
        return lines[Int(places[Int(slot)].line)]?.owner
    }

    mutating func append(_ slot: HeldTable.Slot, of owner: Owner) {
        while places.count <= Int(slot) { places.append(Place()) }
        let line = lineOfOwner[owner] ?? open(owner)
        let newest = lines[Int(line)]?.newest ?? -1
        places[Int(slot)] = Place(line: line, next: -1, previous: newest)
        if newest >= 0 { places[Int(newest)].next = slot } else { lines[Int(line)]?.oldest = slot }
        lines[Int(line)]?.newest = slot
        lines[Int(line)]?.count += 1
    }

    private mutating func open(_ owner: Owner) -> Int32 {
        let line: Int32
        if let free = freeLines.popLast() {
            line = free
            lines[Int(line)] = Line(owner: owner)
        } else {
            line = Int32(lines.count)
            lines.append(Line(owner: owner))
        }
        lineOfOwner[owner] = line
        return line
    }

    /// Does nothing if the slot is in no line.
    mutating func remove(_ slot: HeldTable.Slot) {
        guard Int(slot) < places.count, places[Int(slot)].line >= 0 else { return }
        let place = places[Int(slot)]
        places[Int(slot)] = Place()
        let line = Int(place.line)
        if place.previous >= 0 {
            places[Int(place.previous)].next = place.next
        } else {
            lines[line]?.oldest = place.next
        }
        if place.next >= 0 {
            places[Int(place.next)].previous = place.previous
        } else {
            lines[line]?.newest = place.previous
        }
        lines[line]?.count -= 1
        guard let owner = lines[line]?.owner, lines[line]?.count == 0 else { return }
        lines[line] = nil
        freeLines.append(place.line)
        lineOfOwner[owner] = nil
    }
}

/// All held requests in order of arrival. Eight bytes for each slot of the held table up to the highest one in use
/// here.
struct ArrivalLine {
    private struct Place {
        /// -1: none; -2: the slot is not in the line.
        var next: HeldTable.Slot = -2
        var previous: HeldTable.Slot = -1
    }

    private var places: ContiguousArray<Place> = []
    private var first: HeldTable.Slot = -1
    private var last: HeldTable.Slot = -1

    /// `room`: as in `HeldTable`.
    init(room: Int = 0) { places.reserveCapacity(room) }

    var isEmpty: Bool { first < 0 }

    var oldest: HeldTable.Slot? { first >= 0 ? first : nil }

    /// The rank of each by arrival, by slot; -1 for an empty slot.
    var ranks: [Int32] {
        var ranks = [Int32](repeating: -1, count: places.count)
        var at = first
        var rank: Int32 = 0
        while at >= 0 {
            ranks[Int(at)] = rank
            rank += 1
            at = places[Int(at)].next
        }
        return ranks
    }

    mutating func append(_ slot: HeldTable.Slot) {
        while places.count <= Int(slot) { places.append(Place()) }
        places[Int(slot)] = Place(next: -1, previous: last)
        if last >= 0 { places[Int(last)].next = slot } else { first = slot }
        last = slot
    }

    /// Does nothing if the slot is not in the line.
    mutating func remove(_ slot: HeldTable.Slot) {
        guard Int(slot) < places.count, places[Int(slot)].next != -2 else { return }
        let place = places[Int(slot)]
        places[Int(slot)] = Place()
        if place.previous >= 0 {
            places[Int(place.previous)].next = place.next
        } else {
            first = place.next
        }
        if place.next >= 0 {
            places[Int(place.next)].previous = place.previous
        } else {
            last = place.previous
        }
    }
}
