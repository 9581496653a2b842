/// Elements ordered by time: a binary heap. An element may be in it several times; its owner knows which time counts.
struct DueQueue<Element: Sendable>: Sendable {
    private var heap: [(at: Int64, element: Element)] = []

    var first: (at: Int64, element: Element)? { heap.first }

    mutating func insert(_ element: Element, at time: Int64) {
        var place = heap.count
        heap.append((time, element))
        while place > 0 {
            let parent = (place - 1) / 2
            guard heap[place].at < heap[parent].at else { return }
            heap.swapAt(place, parent)
            place = parent
        }
    }

    mutating func removeFirst() {
        guard let last = heap.popLast(), !heap.isEmpty else { return }
        heap[0] = last
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2]
            where child < heap.count && heap[child].at < heap[least].at {
                least = child
            }
            guard least != place else { return }
            heap.swapAt(place, least)
            place = least
        }
    }
}
