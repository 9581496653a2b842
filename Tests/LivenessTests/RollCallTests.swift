import Channels
import Liveness
import Testing

@Suite struct RollCallTests {
    private let one = MachineID(1)
    private let two = MachineID(2)
    private let three = MachineID(3)

    @Test func `a machine is missed when others came often enough, and is back when it comes`() {
        var roll = RollCall()
        for round in 0..<100 {
            #expect(
                roll.present([one: Int64(round), two: 7], own: one).contains(two) == (round < 6)
            )
        }
        #expect(roll.present([one: 100, two: 8], own: one) == [one, two])
    }

    @Test func `a slow machine is not missing, and no machine finds itself missing`() {
        var roll = RollCall()
        for round in 0..<100 {
            let seen = [one: Int64(0), two: Int64(round / 5)]
            #expect(roll.present(seen, own: one) == [one, two])
        }
    }

    @Test func `a clock that jumps, forwards or back, makes no machine missing`() {
        var roll = RollCall()
        for round in 0..<40 {
            let jump: Int64 = round % 2 == 0 ? 1_000_000_000 : 0
            let seen = [one: jump + Int64(round), two: jump + Int64(round)]
            #expect(roll.present(seen, own: one) == [one, two])
        }
    }

    @Test func `of several machines one misses first`() {
        var rolls = [one: RollCall(), two: RollCall()]
        var missed: [MachineID: Int] = [:]
        for round in 0..<20 {
            for own in [one, two] {
                let seen = [one: Int64(round), two: Int64(round), three: 0]
                if rolls[own]?.present(seen, own: own).contains(three) == false {
                    missed[own] = missed[own] ?? round
                }
            }
        }
        #expect(missed == [one: 6, two: 8])
    }

    @Test func `a machine that is away does not keep others from being found missing`() {
        var roll = RollCall()
        var missed: Int?
        for round in 0..<20 where missed == nil {
            let present = roll.present([one: 0, two: Int64(round), three: 0], own: two)
            if !present.contains(three) { missed = round }
        }
        #expect(missed == 6)
    }

    @Test func `a machine that has left the site is missed at once, by one of the others`() {
        var rolls = [one: RollCall(), two: RollCall()]
        for own in [one, two] { _ = rolls[own]?.present([one: 0, two: 0, three: 0], own: own) }
        #expect(rolls[one]?.present([one: 1, two: 1], own: one) == [one, two])
        #expect(rolls[two]?.present([one: 1, two: 1], own: two) == [one, two, three])
        #expect(rolls[two]?.present([one: 2, two: 2], own: two) == [one, two, three])
        #expect(rolls[two]?.present([one: 3, two: 3], own: two) == [one, two])
        // Also one that this machine has never heard of.
        #expect(!RollCall().presentOnce([one: 0], own: one).contains(three))
    }
}

extension RollCall {
    fileprivate func presentOnce(_ seen: [MachineID: Int64], own: MachineID) -> Set<MachineID> {
        var copy = self
        return copy.present(seen, own: own)
    }
}
