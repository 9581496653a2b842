import Channels
package import Engine

/// Why a machine could not join a site: of its own log and files, or of the engine.
package enum JoinError: Error, CustomStringConvertible {
    case log(LogError)
    case engine(EngineError)

    package var description: String {
        switch self {
        case .log(let error): error.description
        case .engine(let error): error.description
        }
    }

    /// Does something to the machine's own log and files.
    static func ofLog<T>(_ body: () throws(LogError) -> T) throws(JoinError) -> T {
        do throws(LogError) { return try body() } catch { throw .log(error) }
    }

    /// Asks the site; if that refuses, the machine stays what it was before.
    static func ofSite<T>(
        _ settings: BusSettings,
        before: EngineMembership?,
        _ body: () throws(EngineError) -> T
    ) throws(JoinError) -> T {
        do throws(EngineError) {
            return try body()
        } catch {
            if !error.isAmbiguous {
                try ofLog { () throws(LogError) in try EngineMembership.restore(before, settings) }
            }
            throw .engine(error)
        }
    }
}
