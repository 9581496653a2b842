internal import ArgumentParser
internal import Glibc

/// `holdfast cgi`: joins a CGI request to the running responder.
struct CGICommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cgi",
        abstract: "Joins a CGI request to the running responder.",
        discussion: """
            For web servers that speak CGI only. The same happens without a word when the binary is called \
            holdfast.cgi, or is run as a CGI program. The ini file says where the responder listens.
            """
    )

    @Option(
        name: .shortAndLong,
        help: "The ini file (default: $HOLDFAST_INI, else /etc/holdfast.ini).",
        completion: .file(extensions: ["ini"])
    )
    var config = IniFileReader.usualPath

    func run() throws {
        throw ExitCode(CGIBridge(iniFile: config).run())
    }
}

/// Whether a web server has started this process as a CGI program (RFC 3875).
enum CGIInvocation {
    /// The arguments may come from the query then (RFC 3875 §4.4), so that they are never read as commands: a web server
    /// that runs the binary by its own name must not be made to run `holdfast pub` by a URL. A script that a web server
    /// runs, and that calls `holdfast pub` itself, is another program than the one the request is for.
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
