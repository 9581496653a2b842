public import Synchronization

/// Passes values from any thread to one reader: an array under a lock, and something that wakes the reader.
///
/// The lock is held only to append to, or swap, arrays, so `post` never blocks noticeably. The functions are inlinable
/// so that they are specialised for their elements; otherwise they would go by run-time layouts. That takes a type that
/// is usable from inlined code, too.
@usableFromInline
package final class Mailbox<Element: Sendable>: Sendable {
    @usableFromInline
    struct Contents {
        @usableFromInline var elements: [Element] = []
        /// Whether the reader must be woken for the next element.
        @usableFromInline var isAwaited: Bool

        @usableFromInline
        init(isAwaited: Bool) { self.isAwaited = isAwaited }
    }

    /// How the reader is woken.
    @usableFromInline
    enum Bell: Sendable {
        /// It watches a descriptor, as a reactor does.
        case event(EventDescriptor)
        /// It waits in `take`.
        case word(FutexWord)
    }

    @usableFromInline let contents: Mutex<Contents>
    @usableFromInline let bell: Bell
    @usableFromInline let posted = Atomic(false)

    /// For a reader that watches `descriptor` for reading, and calls `takeAll`.
    package init() throws(SystemError) {
        bell = .event(try EventDescriptor())
        contents = Mutex(Contents(isAwaited: true))
    }

    /// For a reader that waits in `take`.
    package init(bell: FutexWord) {
        self.bell = .word(bell)
        contents = Mutex(Contents(isAwaited: false))
    }

    /// For the reader to watch for reading; -1 where it waits in `take`.
    package var descriptor: Int32 {
        switch bell {
        case .event(let event): event.number
        case .word: -1
        }
    }

    /// Adds an element. Any thread.
    @inlinable
    package func post(_ element: Element) { post(contentsOf: CollectionOfOne(element)) }

    /// Adds elements that the reader takes together. Any thread.
    @inlinable
    package func post(contentsOf elements: some Collection<Element>) {
        let rings = contents.withLock { contents in
            contents.elements.append(contentsOf: elements)
            posted.store(true, ordering: .releasing)
            defer { contents.isAwaited = false }
            return contents.isAwaited
        }
        guard rings else { return }
        switch bell {
        case .event(let event): event.ring()
        case .word(let word): word.ring()
        }
    }

    /// Whether something was posted that is not taken yet; for the reader, without the lock.
    @inlinable
    package var isWaiting: Bool { posted.load(ordering: .acquiring) }

    /// Everything posted so far, in order, for a reader that watches the descriptor. The descriptor is reset first: an
    /// element posted in between wakes the reader again.
    ///
    /// - Parameter resets: false saves a reader the system call that is told of changes only (`WatchedEvents.edge`).
    @inlinable
    package func takeAll(resets: Bool = true) -> [Element] {
        if resets, case .event(let event) = bell { event.silence() }
        return takeNow()
    }

    /// For a reader that watches the descriptor: until it takes again, which it does before it waits, nothing that is posted
    /// wakes it.
    @inlinable
    package func expect() { contents.withLock { $0.isAwaited = false } }

    /// Checks repeatedly, without sleeping, for at most the time given whether something was posted, and returns whether.
    ///
    /// Where another thread posts as soon as the last element is handled, that is cheaper than sleeping and being woken
    /// (half as many commits again where one thread appends).
    @inlinable
    package func spin(microseconds: Int64) -> Bool {
        let end = MonotonicClock.microseconds() + microseconds
        repeat { if isWaiting { return true } } while MonotonicClock.microseconds() < end
        return false
    }

    /// Waits until something is posted that is not taken yet, at most the time given; for a reader without a descriptor.
    @inlinable
    package func wait(milliseconds: Int64) {
        guard case .word(let word) = bell else { return }
        let end = MonotonicClock.milliseconds() + milliseconds
        while true {
            let seen = word.value
            let isEmpty = contents.withLock { contents in
                contents.isAwaited = contents.elements.isEmpty
                return contents.isAwaited
            }
            let left = end - MonotonicClock.milliseconds()
            if !isEmpty || left <= 0 { return }
            word.wait(whileEqual: seen, milliseconds: left)
        }
    }

    /// Everything posted so far, in order; waits for the first at most the time given (0: not at all).
    @inlinable
    package func take(waitingMilliseconds: Int64) -> [Element] {
        guard case .word = bell else { return takeAll() }
        let elements = takeNow()
        if !elements.isEmpty || waitingMilliseconds <= 0 { return elements }
        wait(milliseconds: waitingMilliseconds)
        return takeNow()
    }

    /// A reader that watches a descriptor waits for the next element from now on; any other one only in `wait`.
    @inlinable
    func takeNow() -> [Element] {
        contents.withLock { contents in
            var taken: [Element] = []
            swap(&taken, &contents.elements)
            if case .event = bell { contents.isAwaited = true } else { contents.isAwaited = false }
            posted.store(false, ordering: .releasing)
            return taken
        }
    }
}
