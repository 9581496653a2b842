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
internal import System

/// The options by which a command finds the bus.
struct BusOptions: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The ini file, which says where the bus is (default: \(IniFileReader.usualPlaces)).",
            valueName: "file"
        ),
        completion: .file(extensions: ["ini"])
    )
    var config = IniFileReader.usualPath

    @Option(
        help: ArgumentHelp(
            "The bus socket, instead of the one in the ini file.",
            valueName: "path"
        ),
        completion: .file()
    )
    var socket: String?

    /// The way to the bus.
    ///
    /// - Parameter needsService: whether a process must serve the bus.
    func connector(needsService: Bool = false) throws -> BusConnector {
        try connectorAndLimit(needsService: needsService).connector
    }

    /// The way to the bus, and how many bytes it accepts in one message or batch; if the ini file is not known, the
    /// most that any may allow.
    func connectorAndLimit(needsService: Bool = false) throws -> (
        connector: BusConnector, bodyLimit: Int
    ) {
        if let socket { return (BusConnector(path: socket, settings: nil), 64 << 20) }
        let settings: Settings
        do {
            settings = try IniFileReader.read(config, orExit: EX_CONFIG)
        } catch {
            StandardError.write(
                "give the bus socket with --socket, or another ini file with --config"
            )
            throw error
        }
        guard let path = settings.bus.socket else {
            throw BusClientError.absent("socket = none in \(config): there is no bus socket")
        }
        let connector = BusConnector(
            path: path,
            settings: settings.bus,
            direct: needsService
                ? nil : { () throws(BusClientError) in try DirectBus.connect(settings) }
        )
        return (connector, max(settings.limits.messageBytes, settings.limits.batchBytes))
    }

    /// Runs a command's body and ends the process with the code its error asks for.
    static func exiting(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as BusClientError {
            StandardError.write("holdfast: \(error)")
            throw ExitCode(error.exitCode)
        } catch let error as SystemError {
            StandardError.write("holdfast: \(error)")
            throw ExitCode(EX_SOFTWARE)
        }
    }
}

/// A bus that no process serves: a responder inside this process, for this process alone.
enum DirectBus {
    /// Set up once per process, however many connections it makes.
    private static let logsWarnings: Void = {
        let level = LogLevel(.warning)
        LoggingSystem.bootstrap { _ in LineLogHandler(shared: level) }
    }()

    /// Our end of a pair of sockets; the responder serves the other end until we close ours.
    static func connect(_ settings: Settings) throws(BusClientError) -> Int32 {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw .broken("\(SystemError("make", on: "a pair of sockets", code: errno))")
        }
        let theirs = ends[1]
        _ = fcntl(theirs, F_SETFL, O_NONBLOCK)
        logsWarnings
        let thread = WorkerThread(name: "hf-responder") {
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
                exit(EX_UNAVAILABLE)
            }
        }
        guard thread != nil else {
            close(ends[0])
            close(theirs)
            throw .broken("\(SystemError("start", on: "a thread", code: EAGAIN))")
        }
        return ends[0]
    }
}

/// Parses a channel name; the error says why it is not one.
func channelArgument(_ text: String) throws -> ChannelName {
    do {
        return try ChannelName(text)
    } catch {
        throw ValidationError("\(error)")
    }
}
