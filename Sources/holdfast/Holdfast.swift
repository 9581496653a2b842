internal import ArgumentParser
internal import Glibc
internal import Responder

@main
enum Program {
    static func main() {
        StandardStreams.keepOpen()
        // The arguments of a CGI program are a client's.
        if CGIInvocation.isThisProcess { exit(CGIBridge(iniFile: IniFileReader.usualPath).run()) }
        if let number = argumentThatIsNotText {
            // It would be read as another text than was meant.
            StandardError.write(
                "holdfast: argument \(number) is not UTF-8; bytes that are no text go in by standard input, with "
                    + "--content-type application/octet-stream"
            )
            exit(EX_USAGE)
        }
        Holdfast.main()
    }

    private static var argumentThatIsNotText: Int? {
        let arguments = unsafe UnsafeBufferPointer(
            start: CommandLine.unsafeArgv,
            count: Int(CommandLine.argc)
        )
        return unsafe arguments.firstIndex { argument in
            unsafe argument.map { unsafe String(validatingCString: $0) == nil } ?? false
        }
    }
}

/// The command line. Each subcommand has a file of its own.
struct Holdfast: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast",
        abstract: "Lets web pages wait for messages behind the web server that is already there.",
        discussion: """
            Runs as a FastCGI responder under nginx, lighttpd and others, holds each subscriber's \
            request until a message comes, and answers it.
            """,
        version: Version.current,
        subcommands: [
            Serve.self, Check.self, Pub.self, Sub.self, StatusCommand.self, ChannelsCommand.self,
            Top.self, LogCommand.self, Doctor.self, CGICommand.self, BenchLog.self,
        ],
        defaultSubcommand: Serve.self
    )
}
