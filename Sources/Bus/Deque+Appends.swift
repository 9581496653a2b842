import Channels
import DequeModule

extension Deque<Append> {
    /// Takes this many from the front.
    mutating func take(_ length: Int) -> [Append] {
        let taken = Array(prefix(length))
        if length == count {
            // A deque that was long once would keep its memory.
            self = []
        } else {
            removeFirst(length)
        }
        return taken
    }
}
