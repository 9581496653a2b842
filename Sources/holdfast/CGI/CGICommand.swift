internal import ArgumentParser
internal import Glibc

/// `holdfast cgi`: connects a CGI request to the running responder.
struct CGICommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cgi",
        abstract: "Connects a CGI request to the running responder.",
        discussion: """
            For web servers that speak only CGI. The same happens without this command if the binary is called \
            holdfast.cgi, or is run as a CGI program. The ini file says where the responder listens.
            """
    )

    @OptionGroup var ini: IniFileOption

    func run() throws {
        throw ExitCode(CGIBridge(iniFile: ini.config).run())
    }
}

/// Whether a web server has started this process as a CGI program (RFC 3875).
enum CGIInvocation {
    /// The arguments of a CGI program may come from the query (RFC 3875 §4.4), so they are never read as commands: a
    /// URL must not be able to make a web server that runs the binary under its own name run `holdfast pub`. A script
    /// that a web server runs, and that itself calls `holdfast pub`, is a different program from the one requested.
    static func isCGI(
        program: String,
        hasArguments: Bool,
        inputListens: Bool,
        environment: (String) -> String?
    ) -> Bool {
        let name = program.split(separator: "/").last.map(String.init) ?? ""
        if name == "holdfast.cgi" { return true }
        guard environment("GATEWAY_INTERFACE") != nil, !inputListens else { return false }
        if !hasArguments { return true }
        let asked = environment("SCRIPT_FILENAME") ?? environment("SCRIPT_NAME") ?? ""
        return asked.split(separator: "/").last.map(String.init) == name
    }

    static func isThisProcess(_ arguments: [String]) -> Bool {
        var listening: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        let answer = unsafe getsockopt(0, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size)
        return isCGI(
            program: arguments.first ?? "",
            hasArguments: arguments.count > 1,
            inputListens: answer == 0 && listening != 0,
            environment: { unsafe getenv($0).map { unsafe String(cString: $0) } }
        )
    }
}
