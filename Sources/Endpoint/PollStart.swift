package import Channels
internal import Text

/// Where a subscriber starts.
package enum PollStart: Equatable, Sendable {
    case cursor(Cursor)
    case history(HistoryStart)
    /// With messages from now on.
    case now
}

extension PollStart {
    /// Nil without `since`.
    ///
    /// - Parameter waits: whether the subscriber waits for messages.
    init?(_ query: Query, waits: Bool) throws(Problem) {
        if let cursor = query.cursor {
            self = .cursor(cursor)
        } else if let since = query.since {
            self = try PollStart(since: since, waits: waits)
        } else {
            return nil
        }
    }

    /// Parses a subscriber's `since`.
    ///
    /// - Parameter waits: whether the subscriber waits for messages.
    init(since: String, waits: Bool) throws(Problem) {
        if let cursor = Cursor(since) {
            self = .cursor(cursor)
            return
        }
        switch since {
        // Nothing of these channels is newer than their newest message: equivalent to now, and unaffected by other
        // channels.
        case "now":
            self = waits ? .now : .history(.newest)
            return
        case "first":
            self = .history(.first)
            return
        default: break
        }
        if since.hasPrefix("last:"), let count = String(since.dropFirst(5)).wholeNumber {
            self =
                count > 0
                ? .history(.last(min(count, 1_000_000))) : waits ? .now : .history(.newest)
            return
        }
        if since.hasPrefix("age:"), let unit = since.utf8.last,
            let number = String(since.dropFirst(4).dropLast()).wholeNumber,
            let seconds = Self.secondsPerUnit(unit)
        {
            self = .history(.age(milliseconds: Int64(number) * seconds * 1000))
            return
        }
        throw .badRequest(
            "invalid_since",
            "'since' must be a cursor from an earlier answer, 'now', 'first', 'last:N', or 'age:' with a number and s, m, h "
                + "or d, such as 'age:10m'."
        )
    }

    private static func secondsPerUnit(_ unit: UInt8) -> Int64? {
        switch unit {
        case UInt8(ascii: "s"): 1
        case UInt8(ascii: "m"): 60
        case UInt8(ascii: "h"): 3600
        case UInt8(ascii: "d"): 86_400
        default: nil
        }
    }
}

extension Cursor {
    /// What counts in the place of a broken cursor that nobody on the client's side can repair: a cursor of another log,
    /// so that what may be missing is reported as a gap.
    static let ofNoLog = Cursor(epoch: .ofNoLog, offset: .start)
}
