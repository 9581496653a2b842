import Testing

@testable import Core

@Suite struct `The order of arrival` {
    @Test(arguments: 0..<20)
    func `random comings and goings leave each line as a model has it`(seed: Int) {
        var order = ArrivalOrder<Int>()
        var model: [Int: [HeldTable.Slot]] = [:]
        var free = Array(HeldTable.Slot(0)..<60)
        for _ in 0..<2000 {
            if Bool.random(), let slot = free.popLast() {
                let owner = Int.random(in: 0..<5)
                order.append(slot, of: owner)
                model[owner, default: []].append(slot)
            } else if let (owner, line) = model.filter({ !$0.value.isEmpty }).randomElement(),
                let place = line.indices.randomElement()
            {
                let slot = line[place]
                order.remove(slot)
                model[owner]?.remove(at: place)
                free.insert(slot, at: 0)
                order.remove(slot)
            }
            for owner in 0..<5 {
                #expect(order.slots(of: owner) == model[owner] ?? [])
                #expect(order.count(of: owner) == (model[owner] ?? []).count)
                #expect(order.oldest(of: owner) == model[owner]?.first)
            }
        }
    }
}
