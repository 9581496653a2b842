internal import CStart
internal import Glibc

/// The arguments of the command line, from the C library: Swift's own come from /proc, which may be missing.
enum Arguments {
    /// With the program's name; nil if the process was started without any arguments, even that. The kernel turns that
    /// into an empty name.
    static let all: [String]? = {
        let count = cstart_argument_count()
        guard count >= 0 else { return CommandLine.arguments }
        let texts = (0..<count).map { index in
            unsafe cstart_argument(index).map { unsafe String(cString: $0) } ?? ""
        }
        return texts.isEmpty || texts == [""] ? nil : texts
    }()

    /// The index of the first argument that is not UTF-8 and would be read as another text than intended.
    static var indexOfInvalidText: Int? {
        (0..<max(0, cstart_argument_count())).first { index in
            unsafe cstart_argument(index).map { unsafe String(validatingCString: $0) == nil }
                ?? false
        }.map { Int($0) }
    }

    /// Lets signals end the process, as for every command except `serve`.
    static func letSignalsEnd() { cstart_let_signals_through() }
}
