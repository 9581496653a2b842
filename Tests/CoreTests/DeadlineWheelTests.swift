import Testing

@testable import Core

@Suite struct `The deadline wheel` {
    private let tick = DeadlineWheel.tickMilliseconds

    @Test func `an entry expires once, at its deadline and not before`() {
        var wheel = DeadlineWheel(now: 1000)
        wheel.add(7, deadline: 6000)
        #expect(wheel.expire(now: 5999).isEmpty)
        #expect(wheel.expire(now: 6000 + 2 * tick) == [7])
        #expect(wheel.expire(now: 100_000).isEmpty)
        #expect(wheel.count == 0)
    }

    @Test func `a removed entry leaves nothing behind, and its number can be used again`() {
        var wheel = DeadlineWheel(now: 0)
        wheel.add(3, deadline: 5000)
        wheel.remove(3)
        wheel.remove(3)
        #expect(wheel.millisecondsToNext(now: 0) == nil)
        wheel.add(3, deadline: 9000)
        #expect(wheel.expire(now: 8000).isEmpty)
        #expect(wheel.expire(now: 9000 + 2 * tick) == [3])
    }

    @Test func `a deadline more than a turn of the wheel away is kept`() {
        var wheel = DeadlineWheel(now: 0)
        wheel.add(1, deadline: 3_600_000)
        var now: Int64 = 0
        while now < 3_599_000 {
            now += 61_000
            if now < 3_600_000 { #expect(wheel.expire(now: now).isEmpty) }
        }
        #expect(wheel.expire(now: 3_600_000 + 2 * tick) == [1])
    }

    @Test func `the wait is never beyond the next deadline by more than a tick`() throws {
        var wheel = DeadlineWheel(now: 0)
        wheel.add(1, deadline: 10_000)
        let wait = try #require(wheel.millisecondsToNext(now: 100))
        #expect(wait <= 10_000 - 100 + tick)
        #expect(wheel.expire(now: 100 + wait + tick) == [1])
    }

    @Test func `where the first was removed, there is one look too many, and not one in each turn`()
        throws
    {
        var wheel = DeadlineWheel(now: 0)
        wheel.add(1, deadline: 1000)
        wheel.add(2, deadline: 90_000)
        wheel.remove(1)
        let early = try #require(wheel.millisecondsToNext(now: 0))
        #expect(early <= 1000 + tick)
        #expect(wheel.expire(now: early).isEmpty)
        // The second is in a later round of the wheel, which is found where the buckets tell of it.
        var (now, looks) = (early, 0)
        while wheel.count > 0, looks < 10 {
            now += try #require(wheel.millisecondsToNext(now: now))
            if wheel.expire(now: now).isEmpty { looks += 1 }
        }
        #expect(looks <= 1 && (90_000...90_000 + 2 * tick).contains(now))
    }

    @Test(arguments: 0..<20)
    func `random entries expire as in a plain list`(seed: Int) {
        var wheel = DeadlineWheel(now: 0)
        var model: [Int32: Int64] = [:]
        var now: Int64 = 0
        for _ in 0..<2000 {
            let entry = Int32.random(in: 0..<100)
            switch Int.random(in: 0..<3) {
            case 0 where model[entry] == nil:
                let deadline = now + Int64.random(in: 0...200_000)
                wheel.add(entry, deadline: deadline)
                model[entry] = deadline
            case 1:
                wheel.remove(entry)
                model[entry] = nil
            default:
                now += Int64.random(in: 0...3000)
                for expired in wheel.expire(now: now) {
                    let deadline = model.removeValue(forKey: expired)
                    #expect(deadline != nil && deadline! <= now)
                }
                #expect(model.values.allSatisfy { $0 > now - 2 * tick })
            }
            let first = model.values.min()
            let wait = wheel.millisecondsToNext(now: now)
            #expect((wait == nil) == (first == nil))
            if let first, let wait { #expect(wait <= max(0, first - now) + 2 * tick) }
            #expect(wheel.count == model.count)
        }
    }
}
