import Channels
import Synchronization
import System

/// The state that the log's threads share: the mailboxes, the clock, and how much of the log was reported to the
/// process.
final class LogShared: Sendable {
    enum WriterCommand: Sendable {
        case append(Append)
        /// Charges it to its publisher's quota, and passes it on to the engine.
        case charge(Append)
        case engine(EngineWork)
        /// Something about the log's files looks different: check them now.
        case check
        /// The log could not be read, although its files are in place.
        case readFailed(LogError)
        /// The retention rules have changed.
        case retentionChanged
        case stop
    }

    enum ReaderCommand: Sendable {
        case read(ReadRequest)
        /// Other processes may have committed.
        case follow
        /// The log was opened, replaced or lost.
        case changed
        case stop
    }

    /// The open log.
    struct Opened: Sendable {
        var paths: OpenPaths
        var page: WakePage
        var epochs: EpochHistory
        var epochNumber: Int64
    }

    struct Position: Sendable {
        /// Rises with every opening and loss, so that nothing read from an older file is told after it.
        var generation = 0
        /// The newest offset and trim stamp that were reported.
        var head: Int64 = 0
        var stamp: Int64 = 0
        /// The newest offset that this process committed and is about to report.
        var committed: Int64 = 0
        /// Whether the writer is between the begin of its transaction and its delivery. Only the writer delivers what it
        /// commits: its own trimming may have removed messages from the file that only it still has.
        var writing = false
        var readerWaits = false
        /// The log is about to be opened anew: the reader keeps its questions.
        var isReopening = false
        /// Whether the reader has a connection of its own.
        var isReaderOpen = false
        var wasOpened = false
        var opened: Opened?

        /// Whether the paths still lead to the files that were opened.
        var isCurrent: Bool { opened?.paths.check().log ?? false }
    }

    /// A function stored in a generic type is wrapped once more by each access to it, so that it would grow for ever and be
    /// called ever more deeply; as the member of a struct it is not.
    private struct RetentionRules: Sendable {
        var retention: @Sendable (ChannelName) -> Retention
    }

    let settings: BusSettings
    let channelLimit: Int
    let clocks: LogClocks
    /// Nil: this machine is a bus of its own.
    let link: EngineLink?
    let writerBox = Mailbox<WriterCommand>(bell: FutexWord())
    let readerBox = Mailbox<ReaderCommand>(bell: FutexWord())
    /// Rung when there is another wake page to wait on, or none.
    let wakerBell = FutexWord()
    /// Rung when the reader has closed its connection.
    private let readerBell = FutexWord()
    let stopping = Atomic(false)
    private let deliverEvents: @Sendable ([LogEvent]) -> Void
    private let retentionRules: Mutex<RetentionRules>
    private let clock = Mutex<RetentionClock?>(nil)
    private let positionNow = Mutex(Position())
    /// `position.opened?.page`, apart from it: events are delivered while the position is locked, and their
    /// receivers ask for this.
    private let pageNow = Mutex<WakePage?>(nil)
    private let counters = Mutex(LogStatistics())

    init(
        settings: BusSettings,
        channelLimit: Int,
        clocks: LogClocks,
        retention: @escaping @Sendable (ChannelName) -> Retention,
        deliver: @escaping @Sendable ([LogEvent]) -> Void
    ) {
        self.settings = settings
        self.channelLimit = channelLimit
        self.clocks = clocks
        link = settings.engine.map { EngineLink($0, settings) }
        retentionRules = Mutex(RetentionRules(retention: retention))
        deliverEvents = deliver
    }

    var position: Position { positionNow.withLock { $0 } }
    /// `position.head`, without a copy of the rest.
    var head: Int64 { positionNow.withLock { $0.head } }

    /// Nil while the log is not open.
    var page: WakePage? { pageNow.withLock { $0 } }

    var retention: @Sendable (ChannelName) -> Retention {
        get { retentionRules.withLock { $0.retention } }
        set { retentionRules.withLock { $0.retention = newValue } }
    }

    /// Whether it has been open since the process began.
    var wasOpened: Bool { position.wasOpened }

    var statistics: LogStatistics { counters.withLock { $0 } }

    func count(_ change: (inout LogStatistics) -> Void) { counters.withLock { change(&$0) } }

    /// Events that say nothing about the log's content.
    func deliver(_ events: LogEvent...) { deliverEvents(events) }

    func say(_ sentence: String, _ level: NoticeLevel) { deliver(.notice(sentence, level)) }

    /// Reports the log's whole state; everything reported before is void.
    func tell(opened state: LogState, stamp: Int64, as opened: Opened) {
        let before = positionNow.withLock { position in
            let before = position.opened?.page
            position = Position(
                generation: position.generation + 1,
                head: state.head.value,
                stamp: stamp,
                committed: state.head.value,
                writing: position.writing,
                readerWaits: position.readerWaits,
                isReaderOpen: position.isReaderOpen,
                wasOpened: true,
                opened: opened
            )
            // First: a receiver of `.opened` must not find the head of the log before.
            pageNow.withLock { $0 = opened.page }
            deliver(.opened(state))
            return before
        }
        readerBox.post(.changed)
        wakerBell.ring()
        if let before, before !== opened.page { before.ringForAll() }
        link?.headRose(self)
    }

    func tell(unavailable sentence: String, isLasting: Bool = false) {
        let before = positionNow.withLock { position in
            let before = position.opened?.page
            position.generation += 1
            (position.opened, position.isReopening) = (nil, false)
            pageNow.withLock { $0 = nil }
            deliver(.unavailable(sentence, isLasting: isLasting))
            return before
        }
        readerBox.post(.changed)
        before?.ringForAll()
    }

    /// The log was not opened anew: the reader fails the questions that it kept for that.
    func endReopening() {
        positionNow.withLock { $0.isReopening = false }
        readerBox.post(.changed)
    }

    /// Makes the reader close its connection. SQLite keeps one index of the write-ahead log for all connections of a
    /// process to one file: while one of them is left, all others go on with the files it had found.
    ///
    /// Returns whether it has closed within the time.
    func closeReader(patienceMilliseconds: Int64) -> Bool {
        let before = positionNow.withLock { position in
            defer {
                if position.opened != nil { position.generation += 1 }
                (position.opened, position.isReopening) = (nil, true)
                pageNow.withLock { $0 = nil }
            }
            return position.opened?.page
        }
        readerBox.post(.changed)
        before?.ringForAll()
        let end = MonotonicClock.milliseconds() + patienceMilliseconds
        while true {
            let seen = readerBell.value
            if !position.isReaderOpen { return true }
            let left = end - MonotonicClock.milliseconds()
            if left <= 0 { return false }
            readerBell.wait(whileEqual: seen, milliseconds: left)
        }
    }

    /// To be called before the reader opens a connection; false if it must not.
    func readerOpens(generation: Int) -> Bool {
        positionNow.withLock { position in
            guard position.generation == generation, position.opened != nil else { return false }
            position.isReaderOpen = true
            return true
        }
    }

    func readerClosed() {
        positionNow.withLock { $0.isReaderOpen = false }
        readerBell.ring()
    }

    /// Reports what the writer found and did, up to this head and this trim stamp. Only the writer replaces the log, and
    /// only it reports the log's content between `beginWriting` and `endWriting`: events stay in order without a lock.
    func tell(_ events: [LogEvent], head: Int64, stamp: Int64) {
        if !events.isEmpty { deliverEvents(events) }
        positionNow.withLock { position in
            position.head = max(position.head, head)
            position.stamp = max(position.stamp, stamp)
        }
        link?.headRose(self)
    }

    /// Tells a batch that the reader found, unless the log it was read from was replaced meanwhile; what else is told
    /// stays in order, because the lock is held. False also while the writer writes, which calls the reader again when it
    /// is done.
    func tellFollowed(_ batch: CommittedBatch, generation: Int) -> Bool {
        defer { link?.headRose(self) }
        return positionNow.withLock { position in
            guard position.generation == generation else { return false }
            if position.writing {
                position.readerWaits = true
                return false
            }
            deliver(.committed(batch))
            position.head = max(position.head, batch.head.value)
            return true
        }
    }

    /// Delivers the newest part of the same log instead of all commits since `from`. Returns false if more was delivered
    /// meanwhile, or if the writer writes; the reader is called again then.
    func tell(resumed state: LogState, stamp: Int64, from: Position) -> Bool {
        defer { link?.headRose(self) }
        return positionNow.withLock { position in
            guard position.generation == from.generation else { return false }
            guard !position.writing, position.head == from.head else {
                position.readerWaits = position.writing
                if !position.writing { readerBox.post(.follow) }
                return false
            }
            deliver(.resumed(state))
            position.head = max(position.head, state.head.value)
            position.stamp = max(position.stamp, stamp)
            return true
        }
    }

    /// To be called before the writer's transaction begins, so that the reader knows that it saw none of it.
    func beginWriting() { positionNow.withLock { $0.writing = true } }

    func endWriting() {
        let waits = positionNow.withLock { position in
            defer { (position.writing, position.readerWaits) = (false, false) }
            return position.readerWaits
        }
        if waits { readerBox.post(.follow) }
    }

    /// All marks up to this stamp were told.
    func noteMarks(stamp: Int64, generation: Int) {
        positionNow.withLock { position in
            guard position.generation == generation else { return }
            position.stamp = max(position.stamp, stamp)
        }
    }

    /// Notes what is about to be delivered, so that a wake-up does not make the reader read it.
    func noteCommitted(_ head: Int64) {
        positionNow.withLock { $0.committed = max($0.committed, head) }
    }

    func time() -> LogTime {
        let (wall, boot) = (clocks.wall(), clocks.sinceBoot())
        let retention = clock.withLock { $0?.milliseconds(bootMilliseconds: boot) } ?? wall
        return LogTime(wall: wall, retention: retention, sinceBoot: boot)
    }

    /// Continues from what the clock showed at a moment that the log knows.
    func resumeClock(_ kept: RetentionClock.Moment, boot: String) {
        let resumed = RetentionClock(
            kept: kept,
            isOfThisBoot: boot == clocks.bootName,
            wallMilliseconds: clocks.wall(),
            bootMilliseconds: clocks.sinceBoot()
        )
        clock.withLock { $0 = resumed }
    }
}
