internal import ArgumentParser
internal import Channels
internal import Configuration
internal import Glibc
internal import Identity
internal import System
internal import Text

/// `holdfast token`: shows what a token contains, and whether it is valid.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Shows what a token contains, and whether the ini file's keys accept it.",
        discussion: "Exits 0 if the token is valid now, else 1."
    )

    @OptionGroup var ini: IniFileOption

    @Argument(
        help: "The token, or - for standard input, which keeps it out of the list of processes."
    )
    var token = "-"

    func run() throws {
        let settings = try IniFileReader.settings(
            IniFileReader.readWithKeys(ini.config),
            orExit: EX_CONFIG
        )
        let bytes =
            token == "-"
            ? try StandardInput.line(atMost: KeyRing.tokenByteLimit) : Array(token.utf8)
        let now = SystemClock.wallMilliseconds()
        if let contents = try? KeyRing.contents(ofToken: bytes) { show(contents, now) }
        do throws(Refusal) {
            let token = try KeyRing(settings.keys).verified(token: bytes, from: .sent)
            let visa = try token.visa(at: now)
            line("verdict", "valid, signed with [key \(visa.keyName)]")
        } catch {
            line("verdict", "refused (\(error.code)): \(error.sentence)")
            throw ExitCode(1)
        }
    }

    private func show(_ contents: TokenContents, _ now: Int64) {
        line("algorithm", shown(contents.algorithm))
        line("key", contents.keyName.map { shown($0) } ?? "none named")
        let claims = contents.claims
        line("expires", time(claims.expires, now))
        if let time = claims.notBefore { line("not before", self.time(time, now)) }
        if let audience = claims.audience {
            line("audience", audience.map { shown($0) }.joined(separator: " "))
        }
        if let name = claims.name { line("name", shown(name)) }
        line("read", list(claims.read))
        line("publish", list(claims.publish))
        if !claims.foreignSelectors.isEmpty {
            let selectors = claims.foreignSelectors.map { shown($0) }.joined(separator: " ")
            line("no channels", selectors + " (these selectors of Mercure grant nothing)")
        }
    }

    private func list(_ patterns: [ChannelPattern]) -> String {
        patterns.isEmpty ? "nothing" : patterns.map(\.text).joined(separator: " ")
    }

    private func time(_ milliseconds: Int64, _ now: Int64) -> String {
        var text: [UInt8] = []
        text.append(timeMilliseconds: milliseconds)
        let seconds = (milliseconds - now) / 1000
        let distance = seconds >= 0 ? "in \(seconds) s" : "\(-seconds) s ago"
        return String(decoding: text, as: UTF8.self) + ", " + distance
    }

    private func line(_ name: String, _ value: String) {
        let blanks = String(repeating: " ", count: max(1, 12 - name.count))
        StandardOutput.writeLine(name + blanks + value)
    }
}
