import Channels
import Synchronization
import System

/// The reader thread: reads history, and follows other processes where the waker could not.
struct ReaderThread {
    let shared: LogShared
    let reader: SharedReader

    func run() {
        while true {
            var stop = false
            var requests: [ReadRequest] = []
            for command in shared.readerBox.take(waitingMilliseconds: 1000) {
                switch command {
                case .read(let request): requests.append(request)
                case .follow, .changed: break
                case .stop: stop = true
                }
            }
            if stop { return reader.fail(requests) }
            reader.turn(with: requests)
        }
    }
}

/// The reader, for the two threads that use it: the reader thread, and the waker, which follows other processes itself
/// when the reader is free. Handing that over to a thread that sleeps would cost more than the reading.
final class SharedReader: Sendable {
    private let reader: Mutex<LogReader>

    init(_ shared: LogShared) { reader = Mutex(LogReader(shared)) }

    func turn(with requests: [ReadRequest]) {
        reader.withLock { reader in
            reader.add(requests)
            reader.turn()
        }
    }

    /// Returns false, at once, if the other thread uses it.
    func turnIfFree() -> Bool { reader.withLockIfAvailable { $0.turn() } != nil }

    /// Fails these requests, and those that still wait.
    func fail(_ requests: [ReadRequest]) {
        reader.withLock { reader in
            reader.add(requests)
            reader.failRequests()
        }
    }
}
