/// Why a client of the bus can't go on; `description` is a sentence for the person at the keyboard.
package enum BusClientError: Error, CustomStringConvertible {
    /// Nobody serves the bus, or this user can't get at it.
    case absent(String)
    /// No answer came in time.
    case late(String)
    /// The service said no.
    case refused(code: String, detail: String)
    /// The service and this program do not understand each other, or something of the machine's failed.
    case broken(String)

    package var description: String {
        switch self {
        case .absent(let sentence), .late(let sentence), .broken(let sentence): sentence
        case .refused(let code, let detail): "\(detail) (\(code))"
        }
    }

    /// sysexits(3), and 1 for what was refused.
    package var exitCode: Int32 {
        switch self {
        case .refused: 1
        case .absent: 69
        case .broken: 70
        case .late: 75
        }
    }
}
