internal import CLinux
internal import Channels
package import Configuration
internal import Core
internal import FastCGI
internal import Glibc
internal import System
internal import Text

/// Taking everything over from an older process, from the side of the newer one: its messages, and what has arrived.
///
/// The newer process opens the log and reads everything that comes, but acts on none of it before the older one has
/// sent `yours` or has ended. Reactor thread only.
package final class TakeOver {
    /// What to do next.
    enum Step: Equatable {
        /// Nothing has come.
        case wait
        /// Everything has arrived; to be used when this process has got the same events of the log as the other one.
        case whole
        /// It is this process's turn.
        case act
        /// The other process does not hand over, and ends.
        case startAlone
        /// The other process continues.
        case giveUp(String)
    }

    private enum State: Equatable {
        case greeting
        /// The other process has a format that is understood here.
        case greeted
        /// Everything is sent, or on its way.
        case receiving
        case whole
        /// The other process ends politely.
        case apart
    }

    private let channel: MessageChannel
    private var state = State.greeting
    private(set) var deadline: Int64
    /// The other process closed the connection, at this time.
    private var leftAt: Int64?
    private var limits = FramingLimits()
    private(set) var common: HandedCommonState?
    private var web: Listener?
    private var bus: (listener: Listener?, lock: Int32)?
    private(set) var restingBus: Listener?
    /// Each with its descriptor, which this owns until they are taken.
    private var connections:
        [(descriptor: Int32, shell: HandedShellConnection, core: HandedConnection)] = []

    /// Longer than a busy process takes to create a removed socket again.
    private static let doorMilliseconds: Int64 = 6000
    private static let greetingMilliseconds: Int64 = 10_000
    private static let receivingMilliseconds: Int64 = 15_000
    /// How long a process may live after its connection has ended.
    private static let endingMilliseconds: Int64 = 2000
    /// Longer than stop_timeout can be.
    private static let politeMilliseconds: Int64 = 330_000

    /// Asks the other process at the end of this channel to hand over.
    init(_ channel: MessageChannel) {
        self.channel = channel
        deadline = MonotonicClock.milliseconds() + Self.greetingMilliseconds
        say(.hello(formats: HandOverMessage.formats, release: Version.current))
    }

    deinit {
        for connection in connections { close(connection.descriptor) }
        if let bus { close(bus.lock) }
    }

    /// The predecessor that has started this process, by the descriptor that it names in the environment. Call it
    /// before other threads exist.
    package static func ofPredecessor() -> TakeOver? {
        guard let number = EnvironmentVariable.take(Successor.variable).flatMap({ Int32($0) }),
            number >= 0, fcntl(number, F_SETFD, FD_CLOEXEC) == 0,
            let channel = MessageChannel(number)
        else { return nil }
        return TakeOver(channel)
    }

    /// The process that listens at the address of the ini file; nil if there is none.
    ///
    /// - Parameter passed: the sockets that this process was passed, which have a listener in any case.
    /// - Throws: if there may be one, and it cannot be asked.
    package static func ofRunning(
        _ settings: Settings,
        passed: PassedSockets
    ) throws(TakeOverError) -> TakeOver? {
        let name = HandOverService.name("\(settings.fastcgi.listen)")
        // A process that has just taken over has no socket for a moment.
        let end = MonotonicClock.milliseconds() + doorMilliseconds
        var found = MessageDoor.connect(in: settings.bus.directory, named: name)
        var code = errno
        while found == nil, [ENOENT, ECONNREFUSED, ENOTDIR].contains(code) {
            guard passed.fastcgi == nil, settings.fastcgi.listen.isTaken else { return nil }
            guard MonotonicClock.milliseconds() < end else { break }
            MonotonicClock.sleep(milliseconds: 20)
            found = MessageDoor.connect(in: settings.bus.directory, named: name)
            code = errno
        }
        guard let channel = found else {
            throw TakeOverError(
                sentence:
                    "cannot ask the running process to hand over: \(SystemError.sentence(of: code)) "
                    + "(\(settings.bus.directory)/\(name))"
            )
        }
        guard channel.user == geteuid() else {
            throw TakeOverError(
                sentence:
                    "the running process is of user \(Accounts.name(ofUser: channel.user)), and only that user may take over "
                    + "from it; this is \(Accounts.ownName)"
            )
        }
        return TakeOver(channel)
    }

    var descriptor: Int32 { channel.descriptor }
    package var process: Int32 { channel.process }

    private func say(_ message: HandOverMessage) { _ = channel.send(message.bytes) }

    /// Reports why this process cannot start; the other one continues.
    package func unable(_ sentence: String) { say(.unable(sentence)) }

    // MARK: Receiving

    /// - Parameters:
    ///   - listen: where this process would listen; nil: wherever the other one does.
    ///   - room: for connections.
    func hear(listen: String?, limits: FramingLimits, room: Int) -> Step {
        self.limits = limits
        while true {
            let received = channel.receive()
            switch received {
            case .nothing: return .wait
            case .ended:
                if leftAt == nil { leftAt = MonotonicClock.milliseconds() }
                return .wait
            case .message(let bytes, let descriptors):
                do throws(UnpackError) {
                    let message = try HandOverMessage(bytes)
                    let step = try hear(message, descriptors, listen: listen, room: room)
                    if step != .wait { return step }
                } catch {
                    let sentence = "cannot read what it hands over: \(error)"
                    unable(sentence)
                    return .giveUp(sentence)
                }
            }
        }
    }

    private func hear(
        _ message: HandOverMessage,
        _ descriptors: [Int32],
        listen: String?,
        room: Int
    ) throws(UnpackError) -> Step {
        if case .common = message { return try take(common: descriptors) }
        if case .batch(let count) = message { return try take(batch: descriptors, count) }
        for descriptor in descriptors { close(descriptor) }
        switch message {
        case .welcome(let format, let release, let theirs, let count) where state == .greeting:
            guard HandOverMessage.formats.contains(format) else {
                let sentence =
                    "version \(release) hands over in format \(format), and version "
                    + "\(Version.current) understands "
                    + HandOverMessage.formats.map(String.init).joined(separator: ", ")
                say(.endPolitely(sentence))
                (state, deadline) = (
                    .apart, MonotonicClock.milliseconds() + Self.politeMilliseconds
                )
                return .startAlone
            }
            guard listen == nil || theirs == listen else {
                return refuse(
                    "the running process listens on \(theirs), but the ini file says \(listen ?? ""); a new address needs a restart"
                )
            }
            guard count < room else {
                return refuse(
                    "\(count) connections need more descriptors than this process may have (LimitNOFILE= in systemd)"
                )
            }
            (state, deadline) = (.greeted, .max)
            return .wait
        case .whole(let count) where state == .receiving:
            guard common != nil, count == connections.count else {
                throw UnpackError("something is missing")
            }
            state = .whole
            return .whole
        case .yours where state == .whole:
            say(.mine)
            return .act
        case .refused(let why): return .giveUp(why)
        case .keeps(let why): return .giveUp("the running process continues: \(why)")
        default: throw UnpackError("it says that out of turn")
        }
    }

    private func refuse(_ sentence: String) -> Step {
        unable(sentence)
        return .giveUp(sentence)
    }

    /// The log is open, and everything else is in order.
    func able() -> Bool {
        guard state == .greeted else { return false }
        (state, deadline) = (.receiving, MonotonicClock.milliseconds() + Self.receivingMilliseconds)
        say(.able)
        return true
    }

    /// Everything has arrived and is understood, and this process has got the same events of the log as the other one.
    func ready() { say(.ready) }

    /// What the passing of time requires.
    func turn(now: Int64) -> Step {
        if let leftAt {
            if channel.hasEnded() { return state == .apart || common == nil ? .startAlone : .act }
            if state != .apart, now >= leftAt + Self.endingMilliseconds {
                return .giveUp("the running process no longer answers, and continues")
            }
        }
        return now >= deadline ? .giveUp("the running process does not answer") : .wait
    }

    /// The other process ends politely, or has ended: this one waits for the end.
    var waitsForEnd: Bool { state == .apart && !channel.hasEnded() }

    /// The other process has closed the connection.
    var hasLeft: Bool { leftAt != nil }

    /// Monotonic milliseconds of the next check, after one at this time.
    func alarm(after lookedAt: Int64) -> Int64 {
        leftAt != nil || state == .apart ? lookedAt + 10 : deadline
    }

    /// The older process waits until this one is able to take over.
    var isAwaited: Bool { state == .greeted }

    // MARK: Taking

    /// Reads the content of a file in memory. Closes it.
    private static func content(of file: Int32) throws(UnpackError) -> [UInt8] {
        let file = OwnedDescriptor(file)
        var info = stat()
        guard unsafe fstat(file.number, &info) == 0, info.st_size >= 0 else {
            throw UnpackError("a file in memory cannot be read")
        }
        let size = Int(info.st_size)
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let got = unsafe pread(
                    file.number,
                    buffer.baseAddress.map { unsafe $0 + count },
                    size - count,
                    off_t(count)
                )
                if got < 0, errno == EINTR { continue }
                guard got > 0 else { return }
                count += got
            }
        }
        guard bytes.count == size else { throw UnpackError("a file in memory cannot be read") }
        return bytes
    }

    private func take(common descriptors: [Int32]) throws(UnpackError) -> Step {
        guard state == .receiving, common == nil, let file = descriptors.first else {
            for descriptor in descriptors { close(descriptor) }
            throw UnpackError("it says that out of turn")
        }
        var rest = descriptors.dropFirst()
        do throws(UnpackError) {
            var pack = Unpacker(try Self.content(of: file))
            let found: HandedCommonState = try pack.value()
            guard rest.count == found.descriptorCount else {
                throw UnpackError("a descriptor is missing")
            }
            func listener(_ handed: Listener.Handed?) -> Listener? {
                guard let handed, let socket = rest.popFirst() else { return nil }
                guard handed.hasLock, let lock = rest.popFirst() else {
                    return Listener(handed, socket: OwnedDescriptor(socket), lock: nil)
                }
                return Listener(
                    handed,
                    socket: OwnedDescriptor(socket),
                    lock: OwnedDescriptor(lock)
                )
            }
            web = listener(found.web)
            if found.servesBus, let lock = rest.popFirst() { bus = (listener(found.bus), lock) }
            restingBus = listener(found.restingBus)
            common = found
        } catch {
            for descriptor in rest { close(descriptor) }
            throw error
        }
        return .wait
    }

    private func take(batch descriptors: [Int32], _ count: Int) throws(UnpackError) -> Step {
        guard state == .receiving, common != nil, descriptors.count == count + 1 else {
            for descriptor in descriptors { close(descriptor) }
            throw UnpackError("connections are missing")
        }
        let numbers = descriptors.dropFirst()
        do throws(UnpackError) {
            let batch = try HandedBatch(try Self.content(of: descriptors[0]), limits: limits)
            guard batch.shells.count == count else { throw UnpackError("connections are missing") }
            for (index, descriptor) in numbers.enumerated() {
                connections.append((descriptor, batch.shells[index], batch.cores[index]))
            }
        } catch {
            for descriptor in numbers { close(descriptor) }
            throw error
        }
        return .wait
    }

    /// The connections that have arrived, with their descriptors; once.
    func takeConnections() -> [(
        descriptor: Int32, shell: HandedShellConnection, core: HandedConnection
    )] {
        defer { connections = [] }
        return connections
    }

    /// The socket for web servers; once. Nothing of it is kept here: its lock is released with its last owner.
    func takeWeb() -> Listener? {
        defer { web = nil }
        return web
    }

    /// The lock of the bus, and its socket; once.
    func takeBus() -> (listener: Listener?, lock: Int32)? {
        defer { bus = nil }
        return bus
    }
}

/// Nothing could be taken over, and the other process continues.
package struct TakeOverError: Error, CustomStringConvertible {
    package let sentence: String
    package var description: String { "not started: \(sentence)" }
}

extension FastCGISettings.Listen {
    /// Whether some process listens there.
    fileprivate var isTaken: Bool {
        let made: Int32? =
            switch self {
            case .unix(let path): Sockets.connect(unix: path)
            case .tcp(let address, let port): Sockets.connect(address, port)
            case .inherited: nil
            }
        if let made { close(made) }
        return made != nil
    }
}
