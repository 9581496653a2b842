internal import ArgumentParser
internal import Responder

/// The command line. Each subcommand has a file of its own.
@main
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
            Top.self, LogCommand.self, BenchLog.self,
        ],
        defaultSubcommand: Serve.self
    )
}
