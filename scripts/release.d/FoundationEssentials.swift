// What swift-argument-parser uses of FoundationEssentials, for programs as they are installed (scripts/lib.sh).
//
// It uses it for the JSON of the option --experimental-dump-help, from which scripts/manual makes pages with a debug build,
// and to look whether an error is a LocalizedError, which none of ours is. But what is in FoundationEssentials cannot be
// linked in parts: with JSONEncoder come calendars, attributed strings, property lists and regular expressions, 6 MB in a
// program of 12 MB. If a new version of the parser uses more, it does not compile against this module.

public protocol LocalizedError: Error {
    var errorDescription: String? { get }
}

public struct Data {
    fileprivate let text: String
}

public final class JSONEncoder {
    public struct OutputFormatting: OptionSet, Sendable {
        public let rawValue: UInt

        public init(rawValue: UInt) { self.rawValue = rawValue }

        public static let prettyPrinted = OutputFormatting(rawValue: 1)
        public static let sortedKeys = OutputFormatting(rawValue: 2)
    }

    public var outputFormatting: OutputFormatting = []

    public init() {}

    public func encode(_: some Encodable) throws -> Data {
        Data(text: #"{"error": "not in this program; ask one that 'swift build' makes"}"#)
    }
}

extension String {
    public enum Encoding: Sendable {
        case utf8
    }

    public init?(data: Data, encoding _: Encoding) { self = data.text }
}
