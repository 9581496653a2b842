internal import CLinux
internal import Glibc
internal import Synchronization

/// The way from other threads to the reactor: values put in under a lock, and an eventfd that wakes it.
package final class Mailbox<Item: Sendable>: Sendable {
    private let items = Mutex<[Item]>([])
    private let wake: Int32

    package init() throws(SystemError) {
        wake = try SystemCalls.check(
            eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)),
            "create",
            on: "an eventfd"
        )
    }

    deinit { close(wake) }

    /// For the reactor to watch for reading.
    package var descriptor: Int32 { wake }

    /// Puts an item in. Any thread.
    package func post(_ item: Item) {
        let wasEmpty = items.withLock { items in
            items.append(item)
            return items.count == 1
        }
        guard wasEmpty else { return }
        var one: UInt64 = 1
        _ = unsafe write(wake, &one, 8)
    }

    /// Takes everything out. The eventfd is read first: a post that comes between wakes the reactor again.
    package func takeAll() -> [Item] {
        var count: UInt64 = 0
        _ = unsafe read(wake, &count, 8)
        return items.withLock { items in
            let taken = items
            items = []
            return taken
        }
    }
}
