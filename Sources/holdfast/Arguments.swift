internal import CStart
internal import Glibc

/// What the command line says, from the C library: what Swift says comes from /proc, which may be missing.
enum Arguments {
    /// With the program's name; nil where whoever started the process gave none at all, not even that. The kernel makes an
    /// empty name of it.
    static let all: [String]? = {
        let count = cstart_argument_count()
        guard count >= 0 else { return CommandLine.arguments }
        let texts = (0..<count).map { index in
            unsafe cstart_argument(index).map { unsafe String(cString: $0) } ?? ""
        }
        return texts.isEmpty || texts == [""] ? nil : texts
    }()

    /// The first one that is not UTF-8, by its place: it would be read as another text than was meant.
    static var placeOfNoText: Int? {
        (0..<max(0, cstart_argument_count())).first { index in
            unsafe cstart_argument(index).map { unsafe String(validatingCString: $0) == nil }
                ?? false
        }.map { Int($0) }
    }

    /// Whether a signal ends the process, as it does with every command but `serve`.
    static func letSignalsEnd() { cstart_let_signals_through() }
}
