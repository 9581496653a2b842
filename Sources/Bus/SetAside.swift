import Glibc

/// Unusable files of a log are renamed to say why they are unusable, at most three of a kind: a file that may hold
/// messages is never deleted, so the administrator can recover what is readable.
enum SetAside: String {
    /// log.sqlite and its write-ahead log, which SQLite calls corrupt.
    case damaged
    /// A write-ahead log whose log.sqlite is gone; it would corrupt another log.sqlite beside it.
    case orphaned

    /// Renames the first file, and the second one if it is there; returns the first one's new name.
    func keep(_ name: String, with second: String? = nil, in directory: BusDirectory)
        throws(LogError)
        -> String
    {
        for number in 1...3 {
            let suffix = ".\(rawValue)-\(number)"
            let kept = name + suffix
            if FileIdentity(path: directory.path + "/" + kept) != nil { continue }
            let path = directory.path + "/" + name
            guard unsafe rename(path, directory.path + "/" + kept) == 0 else {
                throw BusDirectory.problem("set aside", path)
            }
            if let second {
                let target = name + suffix + second.dropFirst(name.count)
                _ = unsafe rename(directory.path + "/" + second, directory.path + "/" + target)
            }
            return kept
        }
        throw LogError.problem(
            "\(name) is \(rawValue), and three such files are kept in \(directory.path) already; "
                + "recover what they hold, or remove them"
        )
    }
}
