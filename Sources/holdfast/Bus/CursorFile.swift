internal import Channels
internal import Glibc
internal import System

/// The file in which `holdfast sub` keeps its position.
///
/// The cursor overwrites the previous one, always as 64 bytes in one call: a second file that is renamed would be left
/// behind whenever the program is killed in between, and would need room on a full disk.
struct CursorFile {
    /// Longer than any cursor and its line end.
    private static let byteCount = 64

    let path: String

    enum Content {
        /// There is no file, or an empty one.
        case none
        case cursor(Cursor)
        /// Why the content cannot be used.
        case unusable(String)
    }

    func read() -> Content {
        let bytes: [UInt8]
        do throws(SmallFile.Problem) {
            bytes = try SmallFile(path).contents(atMost: 2 * Self.byteCount)
        } catch {
            switch error {
            case .system(ENOENT): return .none
            case .tooLong: return .unusable("does not hold a cursor")
            case .system, .notAFile, .ended: return .unusable(error.predicate)
            }
        }
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
        let text = Array(bytes.drop(while: isBlank))
        let trimmed = text.prefix((text.lastIndex { !isBlank($0) } ?? -1) + 1)
        if trimmed.isEmpty { return .none }
        // Anything other than a cursor would become other words of the command.
        guard let text = String(validating: trimmed, as: UTF8.self), let cursor = Cursor(text)
        else { return .unusable("does not hold a cursor") }
        return .cursor(cursor)
    }

    func keep(_ cursor: String) throws(SystemError) {
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw SystemError("open", on: path, code: errno) }
        defer { close(file) }
        var bytes = Array(cursor.utf8)
        while bytes.count < Self.byteCount - 1 { bytes.append(0x20) }
        bytes.append(0x0A)
        guard unsafe pwrite(file, bytes, bytes.count, 0) == bytes.count else {
            throw SystemError("write", on: path, code: errno)
        }
    }
}
