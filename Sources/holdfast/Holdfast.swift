internal import ArgumentParser
internal import Glibc
internal import Responder

@main
enum Program {
    static func main() {
        if CGIInvocation.isThisProcess { exit(CGIBridge(iniFile: IniFileReader.usualPath).run()) }
        Holdfast.main()
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
            Top.self, LogCommand.self, CGICommand.self, BenchLog.self,
        ],
        defaultSubcommand: Serve.self
    )
}
