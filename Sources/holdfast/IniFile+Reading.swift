internal import Configuration
internal import Foundation

/// Where the ini file is, and what is in it.
enum IniFileReader {
    static let standardPath = "/etc/holdfast.ini"

    /// The settings, or every problem as a line for people.
    static func read(_ path: String) -> Result<Settings, IniFileProblems> {
        let bytes: [UInt8]
        do {
            bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        } catch {
            let reason = (error as NSError).localizedFailureReason ?? error.localizedDescription
            return .failure(
                IniFileProblems(lines: [
                    "\(path): cannot be read: \(reason); name the ini file with --config FILE"
                ])
            )
        }
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
}
