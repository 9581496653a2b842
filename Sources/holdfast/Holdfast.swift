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
                "started without any arguments, even a program name, so there is nothing to do; "
                    + "usage: holdfast serve --config FILE"
            )
        }
        // The arguments of a CGI program come from a client.
        if CGIInvocation.isThisProcess(arguments) {
            Arguments.letSignalsEnd()
            exit(CGIBridge(iniFile: IniFileReader.usualPath).run())
        }
        if let number = Arguments.indexOfInvalidText {
            refuse(
                "argument \(number) is not UTF-8; publish binary data through standard input, with "
                    + "--content-type application/octet-stream"
            )
        }
        let rest = Array(arguments.dropFirst())
        if let option = Holdfast.joinedOption(in: rest) {
            refuse(
                "unknown option '\(shown(option))'; put '--' before a text that begins with '-', as in "
                    + "holdfast pub news -- '-1 °C'"
            )
        }
        if let sentence = Holdfast.refusal(of: rest) { refuse(sentence) }
        do {
            var command = try Holdfast.parseAsRoot(rest)
            if !(command is Serve) { Arguments.letSignalsEnd() }
            do {
                try command.run()
            } catch let error as ValidationError {
                refuse(error, type(of: command))
            }
        } catch {
            Arguments.letSignalsEnd()
            Holdfast.exit(withError: error)
        }
    }

    /// For an argument that is found to be wrong only with the ini file: the same text as for others, which
    /// argument-parser makes of the root command's usage.
    private static func refuse(_ error: ValidationError, _ command: any ParsableCommand.Type)
        -> Never
    {
        let usage = Holdfast.usageString(for: command)
        StandardError.write("Error: \(error.message)\nUsage: \(usage)")
        exit(EX_USAGE)
    }

    private static func refuse(_ sentence: String) -> Never {
        StandardError.write("holdfast: \(sentence)")
        exit(EX_USAGE)
    }
}

/// The command line. Each subcommand has its own file.
struct Holdfast: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast",
        abstract: "Lets web pages wait for messages behind the web server that already runs.",
        discussion: """
            Runs as a FastCGI responder under nginx, lighttpd and others, holds each subscriber's \
            request until a message arrives, then answers it.
            """,
        version: Version.current,
        subcommands: [
            Serve.self, Check.self, Pub.self, Sub.self, StatusCommand.self, ChannelsCommand.self,
            Top.self, Sign.self, TokenCommand.self, LogCommand.self, EngineCommand.self,
            Doctor.self,
            CGICommand.self,
            BenchLog.self,
        ],
        defaultSubcommand: Serve.self
    )

    /// The first argument like `-hello`: more than one letter behind one '-'. The parser takes each letter for an option,
    /// and would show the help, as for `-h`, with a success, where a text was to be published; it does so for `-h=1`, too.
    static func joinedOption(in arguments: [String]) -> String? {
        arguments.prefix { $0 != "--" }.first { argument in
            let letters = argument.dropFirst()
            guard argument.first == "-", letters.count > 1, let first = letters.first,
                first.isLetter
            else { return false }
            return first == "h" || !letters.utf8.contains(UInt8(ascii: "="))
        }
    }

    /// Why the first argument cannot be a command; nil if it can. Without this, `serve`, the default command, would
    /// only report an unexpected argument.
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
