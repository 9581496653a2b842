internal import Glibc

/// Why a client of the bus cannot continue; `description` is a sentence for the user.
package enum BusClientError: Error, CustomStringConvertible {
    /// No process serves the bus, or this user may not connect to it.
    case absent(String)
    /// No answer came in time.
    case late(String)
    /// The service refused the command.
    case refused(code: String, detail: String)
    /// The service and this program do not understand each other, or something on this machine failed.
    case broken(String)

    package var description: String {
        switch self {
        case .absent(let sentence), .late(let sentence), .broken(let sentence): sentence
        case .refused(let code, let detail): "\(detail) (\(code))"
        }
    }

    /// As sysexits(3) defines, and 1 for a refusal.
    package var exitCode: Int32 {
        switch self {
        case .refused: 1
        case .absent: EX_UNAVAILABLE
        case .broken: EX_SOFTWARE
        case .late: EX_TEMPFAIL
        }
    }
}
