import FastCGI
import Testing

@testable import Core

@Suite struct `The table of held requests` {
    private func slots(_ table: HeldTable, from first: HeldTable.Slot) -> [HeldTable.Slot] {
        Array(sequence(first: first) { table.next(ofConnection: $0) }.prefix { $0 >= 0 })
    }

    private func slots(_ table: HeldTable, ofInterest interest: Int32) -> [HeldTable.Slot] {
        guard let first = table.first(ofInterest: interest) else { return [] }
        return Array(sequence(first: first) { table.next(ofInterest: $0) })
    }

    private func held(_ connection: Int32, _ id: UInt16, interest: Int32) -> HeldTable.Held {
        HeldTable.Held(
            connection: connection,
            requestID: RequestID(id)!,
            keepConnection: true,
            kind: .poll,
            interest: interest
        )
    }

    @Test func `a held request costs what the design says`() {
        #expect(MemoryLayout<HeldTable.Held>.stride <= 24)
        #expect(MemoryLayout<Connection>.stride <= 24)
        #expect(MemoryLayout<Action>.stride <= 16)
    }

    @Test func `a request is found by interest and by connection until it is taken out`() {
        var table = HeldTable()
        var first: HeldTable.Slot = -1
        let a = table.insert(held(5, 1, interest: 0), firstOfConnection: &first)
        let b = table.insert(held(5, 2, interest: 1), firstOfConnection: &first)
        #expect(slots(table, from: first) == [b, a])
        #expect(table.first(ofInterest: 0) == a)
        table.remove(a, firstOfConnection: &first)
        #expect(table.first(ofInterest: 0) == nil)
        #expect(slots(table, from: first) == [b])
        #expect(table.count == 1)
    }

    @Test(arguments: 0..<20)
    func `random comings and goings leave the lists as a model has them`(seed: Int) {
        var table = HeldTable()
        var firsts = [HeldTable.Slot](repeating: -1, count: 8)
        var model: [HeldTable.Slot: (connection: Int, interest: Int32)] = [:]
        for _ in 0..<1000 {
            if Bool.random() || model.isEmpty {
                let connection = Int.random(in: 0..<8)
                let interest = Int32.random(in: 0..<4)
                let slot = table.insert(
                    held(Int32(connection), 1, interest: interest),
                    firstOfConnection: &firsts[connection]
                )
                #expect(model.updateValue((connection, interest), forKey: slot) == nil)
            } else {
                let (slot, entry) = model.randomElement()!
                table.remove(slot, firstOfConnection: &firsts[entry.connection])
                model[slot] = nil
            }
            #expect(table.count == model.count)
            for connection in 0..<8 {
                let expected = model.filter { $0.value.connection == connection }.keys
                #expect(Set(slots(table, from: firsts[connection])) == Set(expected))
            }
            for interest in Int32(0)..<4 {
                let expected = model.filter { $0.value.interest == interest }.keys
                #expect(Set(slots(table, ofInterest: interest)) == Set(expected))
            }
        }
    }
}
