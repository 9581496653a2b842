import CLinux
package import Channels
import Glibc
import Synchronization
import System

/// The durable log: one per process, any number of processes on one directory.
///
/// Three threads: the writer appends and trims, the reader reads history, the waker waits for other processes' bell and
/// follows what they commit. All calls but `appendAtOnce` only post to a mailbox, and may come from any thread. `deliver`
/// is called on these threads, and in `appendAtOnce`, with what is to be told together; for what changes the log's content
/// one call at a time, and with others waiting for it, so that it must only hand the events over.
///
/// The directory holds `log.sqlite` with its -wal and -shm, `wake` (bell and witness), `reserve`, and what was set aside
/// (`SetAside`): a log that turned out damaged is renamed and a new one begun under a new epoch, because a service that
/// goes on and tells every subscriber of the gap loses nothing silently, and nothing readable is deleted. The files
/// `serve` and `apply` are locks of the processes (`ServingLock`), `processes` has their sockets (`Siblings`), and
/// `engine` says of which site the machine is a part (`EngineMembership`).
package final class Log: Sendable {
    private let shared: LogShared
    private let writer: SharedWriter
    private let threads = Mutex<[WorkerThread]>([])
    private let engine: EngineThreads?

    /// - Parameters:
    ///   - channelLimit: how many channels are remembered (`[limits] channels`).
    ///   - retention: what a channel keeps; called on the log's threads.
    package init(
        settings: BusSettings,
        channelLimit: Int,
        retention: @escaping @Sendable (ChannelName) -> Retention,
        clocks: LogClocks = .system,
        deliver: @escaping @Sendable ([LogEvent]) -> Void
    ) {
        shared = LogShared(
            settings: settings,
            channelLimit: channelLimit,
            clocks: clocks,
            retention: retention,
            deliver: deliver
        )
        writer = SharedWriter(shared)
        engine = shared.link.map { [shared] in EngineThreads(shared, $0) }
    }

    /// Opens the log on the writer thread; `.opened` or `.unavailable` follows.
    package func start() {
        let (shared, writer) = (shared, writer)
        let reader = SharedReader(shared)
        threads.withLock { threads in
            precondition(threads.isEmpty, "the log is started once")
            threads.append(
                Self.thread("hf-log-writer") {
                    WriterThread(shared: shared, writer: writer).run()
                }
            )
            threads.append(
                Self.thread("hf-log-reader") {
                    ReaderThread(shared: shared, reader: reader).run()
                }
            )
            threads.append(
                Self.thread("hf-log-waker") {
                    WakerThread(shared: shared, reader: reader).run()
                }
            )
        }
        engine?.start()
    }

    static func thread(
        _ name: String,
        _ body: @escaping @Sendable () -> Void
    ) -> WorkerThread {
        guard let thread = WorkerThread(name: name, body) else {
            preconditionFailure("the system starts no threads for the log")
        }
        return thread
    }

    package func append(_ append: Append) {
        guard let link = shared.link else { return shared.writerBox.post(.append(append)) }
        if append.quota == nil {
            link.box.post(.append(append))
        } else {
            shared.writerBox.post(.charge(append))
        }
    }

    /// The same for a few appends of a thread that has nothing else to do: it commits them itself if the log is in memory
    /// and nothing must be waited for, and the events are delivered before this returns. That costs less than waking the
    /// writer thread and being woken by it.
    package func appendAtOnce(_ appends: [Append]) {
        let count = shared.link == nil ? writer.appendAtOnce(appends) : 0
        for left in appends.dropFirst(count) { append(left) }
    }

    /// The event of the same name and ticket follows.
    package func read(_ request: ReadRequest) {
        if let link = shared.link, looksAhead(request) {
            // Nobody waits for an engine that is away: the places of reads are for what is here.
            if link.cannotPublish { return shared.deliver(request.failed) }
            link.box.post(.ask(request))
        } else {
            shared.readerBox.post(.read(request))
        }
    }

    /// Whether the engine must be asked first: this machine may be behind the one that a cursor comes from.
    private func looksAhead(_ request: ReadRequest) -> Bool {
        switch request {
        case .history(let history): history.looksAhead
        case .message(_, let cursor): cursor.offset.value > shared.head
        case .channels: false
        }
    }

    /// The newest offset that any process of the bus has committed and acknowledged, as far as the log is open: what
    /// is above the head that was told here is on its way. Any thread; one read of eight bytes.
    package var committedHead: Offset? {
        shared.page.map { Offset($0.head) }
    }

    package func replaceRetention(_ retention: @escaping @Sendable (ChannelName) -> Retention) {
        shared.retention = retention
        shared.writerBox.post(.retentionChanged)
    }

    /// Commits and answers queued appends, then ends the threads. Returns false if that took longer than the patience,
    /// for example because another process is stuck inside the gate; the process may exit nevertheless.
    @discardableResult
    package func stop(patienceMilliseconds: Int64 = 5000) -> Bool {
        let end = MonotonicClock.milliseconds() + patienceMilliseconds
        engine?.stop(patienceMilliseconds: patienceMilliseconds)
        shared.writerBox.post(.stop)
        let threads = threads.withLock { $0 }
        guard let writer = threads.first else { return true }
        let left = { max(1, end - MonotonicClock.milliseconds()) }
        var done = writer.join(patienceMilliseconds: left())
        shared.stopping.store(true, ordering: .releasing)
        shared.readerBox.post(.stop)
        shared.wakerBell.ring()
        shared.position.opened?.page.ringForAll()
        for thread in threads.dropFirst() where !thread.join(patienceMilliseconds: left()) {
            done = false
        }
        return done
    }

    /// The process that is inside the gate now, for the operator.
    package var gateHolder: Int32? {
        FileIdentity(path: shared.settings.directory).flatMap(FileLock.holder)
    }

    package var statistics: LogStatistics { shared.statistics }

    /// Nil if this machine is a bus of its own.
    package var engineFigures: EngineFigures? { shared.link?.figures }

    /// Now on the retention clock, which `Message.expiresMilliseconds` goes by. Any thread.
    package func retentionMilliseconds() -> Int64 { shared.time().retention }
}

extension LogClocks {
    /// The machine's own.
    package static var system: LogClocks {
        LogClocks(
            wall: { SystemClock.wallMilliseconds() },
            sinceBoot: { SystemClock.millisecondsSinceBoot() },
            bootName: SmallFile.firstLine(of: "/proc/sys/kernel/random/boot_id")
        )
    }
}
