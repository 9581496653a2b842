internal import ArgumentParser
internal import Configuration
internal import Glibc
internal import Responder

@main
enum Program {
    static func main() {
        StandardStreams.keepOpen()
        guard let arguments = Arguments.all else {
            refuse(
                "started without any arguments, not even a name for the program: what is to be done is not known; "
                    + "as in: holdfast serve --config FILE"
            )
        }
        // The arguments of a CGI program are a client's.
        if CGIInvocation.isThisProcess(arguments) {
            Arguments.letSignalsEnd()
            exit(CGIBridge(iniFile: IniFileReader.usualPath).run())
        }
        if let number = Arguments.placeOfNoText {
            // It would be read as another text than was meant.
            refuse(
                "argument \(number) is not UTF-8; bytes that are no text go in by standard input, with "
                    + "--content-type application/octet-stream"
            )
        }
        let rest = Array(arguments.dropFirst())
        if let sentence = Holdfast.refusal(of: rest) { refuse(sentence) }
        do {
            var command = try Holdfast.parseAsRoot(rest)
            if !(command is Serve) { Arguments.letSignalsEnd() }
            try command.run()
        } catch {
            Arguments.letSignalsEnd()
            Holdfast.exit(withError: error)
        }
    }

    private static func refuse(_ sentence: String) -> Never {
        StandardError.write("holdfast: \(sentence)")
        exit(EX_USAGE)
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

    /// Why the first argument can't be what is to be done; nil where it can. `serve`, which is done where no command is
    /// named, would only call it unexpected.
    static func refusal(of arguments: [String]) -> String? {
        guard let first = arguments.first, !first.hasPrefix("-") else { return nil }
        let names = configuration.subcommands.map { $0._commandName } + ["help"]
        guard !names.contains(first) else { return nil }
        let advice =
            nearestName(to: first, among: names).map { "did you mean '\($0)'?" }
            ?? "holdfast --help lists them"
        return "there is no command '\(shown(first))'; \(advice)"
    }
}
