internal import ArgumentParser
internal import Bus
internal import CLinux
internal import Configuration
internal import Glibc
internal import Identity
internal import System

/// Finds and reads the ini file.
enum IniFileReader {
    /// Where the package has it.
    private static let place = "/etc/holdfast/holdfast.ini"
    /// The path from before there was a package. An operator who has a file there has written it, and uses it; the
    /// package brings the other one, in which everything is closed. So this one takes precedence.
    private static let olderPlace = "/etc/holdfast.ini"

    /// For the help of commands.
    static let usualPlaces = "$HOLDFAST_INI, else \(olderPlace) if it exists, else \(place)"

    /// The default path, as `usualPlaces` says.
    static let usualPath: String = {
        let named = unsafe getenv("HOLDFAST_INI").map { unsafe String(cString: $0) } ?? ""
        guard named.isEmpty else { return named }
        return unsafe access(olderPlace, F_OK) == 0 ? olderPlace : place
    }()

    /// A warning for the editor of the ini file: there is another one, which is not used.
    ///
    /// - Parameter path: the file that is used.
    static func warning(for path: String) -> String? {
        guard path == olderPlace, unsafe access(place, F_OK) == 0 else { return nil }
        return
            "\(path) is used, and \(place) is not, although both exist; the latter is the usual place: move the "
            + "former there, or remove it"
    }

    /// Reads the settings; if there are problems, prints all of them and ends the command with this code.
    static func read(_ path: String, orExit code: Int32) throws(ExitCode) -> Settings {
        try settings(read(path), orExit: code)
    }

    /// The same for a result of reading.
    static func settings(
        _ read: Result<Settings, IniFileProblems>,
        orExit code: Int32
    ) throws(ExitCode) -> Settings {
        switch read {
        case .success(let settings): return settings
        case .failure(let problems):
            for line in problems.lines { StandardError.write(line) }
            throw ExitCode(code)
        }
    }

    /// The settings, or every problem as a line for people.
    static func read(_ path: String) -> Result<Settings, IniFileProblems> {
        bytes(of: path).flatMap { settings(in: $0, of: path) }
    }

    /// The same with the keys that are in files.
    static func readWithKeys(_ path: String) -> Result<Settings, IniFileProblems> {
        bytes(of: path).flatMap { settings(in: $0, of: path, keyFile: KeyFiles.read) }
    }

    /// The same for a process that runs: only of a file. A pipe that the ini file was read from, such as a shell's <(…), is
    /// empty now, which would close every channel.
    static func reread(_ path: String) -> Result<Settings, IniFileProblems> {
        bytes(of: path, acceptsGiven: false).flatMap {
            settings(in: $0, of: path, keyFile: KeyFiles.read)
        }
    }

    /// The same for this machine: whatever the machine lacks is a problem, too.
    static func readForThisMachine(_ path: String) -> Result<Settings, IniFileProblems> {
        let machine = Machine(
            hasUser: { Accounts.user($0) != nil },
            hasGroup: { Accounts.group($0) != nil },
            directory: { path in
                if let file = FileOwner.fileInPlaceOfDirectory(path) { return .file(file) }
                var info = stat()
                // A directory that this user may not see may exist for the service's user.
                return unsafe stat(path, &info) == 0 || errno == EACCES ? .there : .missing
            },
            leftover: LogFiles.leftover,
            unreadable: KeyFiles.unreadable
        )
        return bytes(of: path).flatMap {
            settings(in: $0, of: path, on: machine, keyFile: KeyFiles.read)
        }
    }

    private static func settings(
        in bytes: [UInt8],
        of path: String,
        on machine: Machine? = nil,
        keyFile: KeyFileReader? = nil
    ) -> Result<Settings, IniFileProblems> {
        Settings.read(bytes, on: machine, keyFile: keyFile).map { read in
            var settings = read
            settings.file = path
            return settings
        }.mapError { IniFileProblems($0, path) }
    }

    /// Hundreds of times as much as a large one has; `check --print` prints 10 kB.
    private static let byteLimit = 1 << 20

    private static func bytes(
        of path: String,
        acceptsGiven: Bool = true
    ) -> Result<[UInt8], IniFileProblems> {
        do throws(SmallFile.Problem) {
            return .success(
                try SmallFile(path, acceptsGiven: acceptsGiven).contents(atMost: byteLimit)
            )
        } catch {
            return .failure(.unreadable(path, error))
        }
    }
}

/// The problems of an ini file, one line each.
struct IniFileProblems: Error {
    let lines: [String]

    init(lines: [String]) { self.lines = lines }

    init(_ problems: some Sequence<ConfigurationProblem>, _ path: String) {
        lines = problems.map { $0.description(file: path) }
    }

    static func unreadable(_ path: String, _ problem: SmallFile.Problem) -> IniFileProblems {
        IniFileProblems(lines: [
            "\(path): \(problem.predicate); give the ini file with --config FILE"
        ])
    }
}
