internal import ArgumentParser
internal import Configuration
internal import Glibc

/// Where the ini file is, and what is in it.
enum IniFileReader {
    /// Where it is where nobody says otherwise: HOLDFAST_INI in the environment, else the usual place.
    static let usualPath: String = {
        let named = unsafe getenv("HOLDFAST_INI").map { unsafe String(cString: $0) } ?? ""
        return named.isEmpty ? "/etc/holdfast.ini" : named
    }()

    /// The settings; where there are problems, says them all and ends the command with this code.
    static func read(_ path: String, orExit code: Int32) throws(ExitCode) -> Settings {
        switch read(path) {
        case .success(let settings): return settings
        case .failure(let problems):
            for line in problems.lines { StandardError.write(line) }
            throw ExitCode(code)
        }
    }

    /// The settings, or every problem as a line for people.
    static func read(_ path: String) -> Result<Settings, IniFileProblems> {
        guard let file = unsafe fopen(path, "re") else {
            return .failure(.unreadable(path, code: errno))
        }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        if unsafe ferror(file) != 0 { return .failure(.unreadable(path, code: errno)) }
        switch Settings.read(bytes) {
        case .success(let settings): return .success(settings)
        case .failure(let problems):
            return .failure(IniFileProblems(lines: problems.map { $0.description(file: path) }))
        }
    }
}

/// What is wrong with an ini file, a line each.
struct IniFileProblems: Error {
    let lines: [String]

    static func unreadable(_ path: String, code: Int32) -> IniFileProblems {
        let reason = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
        return IniFileProblems(lines: [
            "\(path): cannot be read: \(reason); name the ini file with --config FILE"
        ])
    }
}
