internal import ArgumentParser
internal import Bus
internal import Channels
internal import Configuration
internal import Glibc
internal import Logging
internal import Reactor
internal import Responder
internal import System

/// `holdfast serve`: the responder, until SIGTERM.
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serves FastCGI requests until SIGTERM (the default).",
        discussion: """
            SIGHUP reads the ini file again, and under systemd also starts the program anew if its file has changed: the new \
            one takes over, as with --take-over. Under systemd, it reports when it is ready (Type=notify), sends keep-alives \
            (WatchdogSec=), and takes the sockets named fastcgi and bus (FileDescriptorName=). Exits 0 after SIGTERM, 1 if it cannot start, and 78 if it cannot start until \
            something is done: a change of the ini file, or of what it names on this machine, or engine join.
            """
    )

    @OptionGroup var ini: IniFileOption

    @Option(
        help: ArgumentHelp(
            "Listen here instead of at the address in the ini file, for several processes with one ini file.",
            valueName: "address"
        ),
        transform: { try FastCGISettings.Listen.read($0).get() }
    )
    var listen: FastCGISettings.Listen?

    @Flag(
        help: ArgumentHelp(
            "Take over from the process that listens at the same address.",
            discussion: """
                The new process gets its sockets, connections and held requests, and continues from there; none of them \
                ends. If that is impossible, the running process keeps everything, and both log why. If none runs, \
                it starts as usual.
                """
        )
    )
    var takeOver = false

    func run() throws {
        let program = ProgramFile()
        let predecessor = TakeOver.ofPredecessor()
        // These take variables of the environment, which other threads may read.
        let manager = ServiceManager.ofThisProcess()
        let passed = Result { () throws(ListenerError) in try PassedSockets.take() }
        // This precedes all other threads, which inherit the mask.
        let signals = try SignalDescriptor([SIGTERM, SIGINT, SIGHUP])
        signal(SIGPIPE, SIG_IGN)
        // A write beyond the largest file size then fails like one on a full disk.
        signal(SIGXFSZ, SIG_IGN)
        // Files have their mode from the moment they exist: a kill may come before the next line.
        umask(0o007)
        // Each held request costs one.
        let descriptors = ProcessStatus.raiseDescriptorLimit()

        let read = IniFileReader.readWithKeys(ini.config)
        if case .failure(let problems) = read {
            predecessor?.unable("the ini file has problems: \(problems.lines.first ?? ini.config)")
        }
        let settings = withListen(try IniFileReader.settings(read, orExit: EX_CONFIG))
        let level = LogLevel(settings.log.level)
        LogSink.standardError.setFormat(settings.log.format)
        LoggingSystem.bootstrap { _ in LineLogHandler(shared: level) }
        let logger = Logger(label: "holdfast")
        if let warning = IniFileReader.warning(for: ini.config) { logger.warning("\(warning)") }
        warn(of: settings.notices(), logger)
        defer { LogSink.standardError.flush() }

        let responder: Responder
        var running = predecessor
        do {
            let passed = try passed.get()
            if takeOver, running == nil {
                running = try TakeOver.ofRunning(settings, passed: passed)
            }
            if takeOver, running == nil {
                logger.notice("there is no process to take over from; starting as usual")
            }
            responder = try Responder(
                settings: settings,
                passed: passed,
                takeOver: running,
                manager: manager,
                descriptorLimit: descriptors,
                logger: logger,
                signals: signals,
                linesLost: { LogSink.standardError.lost },
                // A parent other than a manager waits for this process's end, and would not know of the next one.
                successor: { manager.flatMap { program.successor(under: $0) } }
            ) {
                switch IniFileReader.reread(ini.config) {
                case .success(let read):
                    let new = withListen(read)
                    level.set(new.log.level)
                    LogSink.standardError.setFormat(new.log.format)
                    warn(of: new.notices(), logger)
                    return new
                case .failure(let problems):
                    for line in problems.lines { logger.error("\(line)") }
                    logger.error("the ini file was not applied; the old settings stay in force")
                    return nil
                }
            }
        } catch {
            running?.unable("\(error)")
            logger.critical("\(error)")
            throw ExitCode((error as? any StartError)?.isPermanent == true ? EX_CONFIG : 1)
        }
        logger.notice(
            "starting",
            metadata: [
                "version": "\(Version.current)", "ini": "\(ini.config)",
                "listen": "\(settings.fastcgi.listen)",
            ]
        )
        if descriptors - 64 < settings.fastcgi.maxConnections {
            logger.warning(
                "fewer descriptors than max_connections, so fewer requests can be held; raise the hard limit (LimitNOFILE= in systemd)",
                metadata: [
                    "descriptors": "\(descriptors)",
                    "max_connections": "\(settings.fastcgi.maxConnections)",
                ]
            )
        }
        do {
            try responder.run()
        } catch {
            let unavailable = error as? LogUnavailable
            let obstacle = unavailable?.isLasting == false ? LogFiles.obstacle(settings.bus) : nil
            logger.critical("\(obstacle.map { "not started: \($0)" } ?? "\(error)")")
            throw ExitCode(
                obstacle != nil || unavailable?.isLasting == true ? EX_CONFIG : EXIT_FAILURE
            )
        }
        logger.notice("stopped")
    }

    /// Logs settings that are allowed but may not be intended.
    private func warn(of notices: [ConfigurationProblem], _ logger: Logger) {
        for notice in notices { logger.warning("\(notice.description(file: ini.config))") }
    }

    private func withListen(_ read: Settings) -> Settings {
        var settings = read
        if let listen { settings.fastcgi.listen = listen }
        return settings
    }
}
