internal import ArgumentParser
internal import Bus
internal import BusClient
internal import CLinux
internal import Channels
internal import Configuration
internal import Glibc
internal import Logging
internal import Reactor
internal import Responder

/// How a command gets at the bus.
struct BusOptions: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help:
            "The ini file, which says where the bus is (default: $HOLDFAST_INI, else /etc/holdfast.ini).",
        completion: .file(extensions: ["ini"])
    )
    var config = IniFileReader.usualPath

    @Option(
        help: "The bus socket, instead of what the ini file says.",
        completion: .file()
    )
    var socket: String?

    /// The way to the bus.
    ///
    /// - Parameter needsService: whether there must be a process that serves it.
    func door(needsService: Bool = false) throws -> BusDoor {
        try doorAndLimit(needsService: needsService).door
    }

    /// The way to the bus, and how many bytes it takes at once: what any ini file may allow where ours is not known.
    func doorAndLimit(needsService: Bool = false) throws -> (door: BusDoor, bodyLimit: Int) {
        if let socket { return (BusDoor(path: socket, settings: nil), 64 << 20) }
        let settings: Settings
        do {
            settings = try IniFileReader.read(config, orExit: EX_CONFIG)
        } catch {
            StandardError.write(
                "name the bus socket with --socket, or another ini file with --config"
            )
            throw error
        }
        guard let path = settings.bus.socket else {
            throw BusClientError.absent("socket = none in \(config): there is no bus socket")
        }
        let door = BusDoor(
            path: path,
            settings: settings.bus,
            direct: needsService ? nil : { try DirectBus.connect(settings) }
        )
        return (door, max(settings.limits.messageBytes, settings.limits.batchBytes))
    }

    /// Runs a command's body and ends the process with the code its error asks for.
    static func exiting(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as BusClientError {
            StandardError.write("holdfast: \(error)")
            throw ExitCode(error.exitCode)
        }
    }
}

/// A bus that no process serves: a responder inside this one, for this one alone.
enum DirectBus {
    /// Once in a process, whatever it connects to how often.
    private static let logsWarnings: Void = {
        let level = LogLevel(.warning)
        LoggingSystem.bootstrap { _ in LineLogHandler(shared: level) }
    }()

    /// Our end of a socket whose other end it serves, until we close ours.
    static func connect(_ settings: Settings) throws -> Int32 {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw SystemError("make", on: "a pair of sockets", code: errno)
        }
        let theirs = ends[1]
        _ = fcntl(theirs, F_SETFL, O_NONBLOCK)
        logsWarnings
        LogThread(name: "hf-responder") {
            let logger = Logger(label: "holdfast")
            do {
                let responder = try Responder(
                    settings: settings,
                    role: .oneClient(theirs),
                    descriptorLimit: 64,
                    logger: logger,
                    signals: SignalDescriptor([]),
                    reload: { nil }
                )
                try responder.run()
            } catch {
                logger.critical("\(error)")
                exit(BusClientError.absent("").exitCode)
            }
        }
        return ends[0]
    }
}

/// A channel's name as an argument, or why it is none.
func channelArgument(_ text: String) throws -> ChannelName {
    do {
        return try ChannelName(text)
    } catch {
        throw ValidationError("\(error)")
    }
}
