import CSQLite
import Glibc
import Synchronization

@testable import Bus

/// What the calling thread's SQLite writes to files, and what becomes of it.
///
/// SQLite calls the system through a table that can be changed. Writes of other threads go their way.
enum WriteInterception {
    struct Write {
        var bytes: Int
        var offset: Int
    }

    enum Outcome {
        case written
        /// So many bytes are written, then the system call fails.
        case cut(Int, errno: Int32)
    }

    private typealias SystemWrite = @convention(c) (Int32, UnsafeRawPointer?, Int, Int) -> Int

    private struct Plan {
        var writes: [Write] = []
        var decide: (Write) -> Outcome
        /// The rest of a write that was cut fails.
        var failing: Int32?
    }

    private nonisolated(unsafe) static var system: SystemWrite?
    private nonisolated(unsafe) static var plans: [pthread_t: Plan] = [:]
    private static let lock = Mutex(())

    private static let installed: Bool = {
        // The first connection configures SQLite.
        _ = try? Database(path: ":memory:", .create)
        guard let vfs = sqlite3_vfs_find(nil) else { return false }
        for name in ["pwrite", "pwrite64"] {
            guard let found = vfs.pointee.xGetSystemCall(vfs, name) else { continue }
            system = unsafeBitCast(found, to: SystemWrite.self)
            let replacement: SystemWrite = { WriteInterception.write($0, $1, $2, $3) }
            let code = vfs.pointee.xSetSystemCall(
                vfs,
                name,
                unsafeBitCast(replacement, to: sqlite3_syscall_ptr.self)
            )
            if code != SQLITE_OK { return false }
        }
        return system != nil
    }()

    /// Runs the body and returns what this thread wrote meanwhile.
    ///
    /// - Parameter decide: is asked before each write.
    static func writes(
        during body: () throws -> Void,
        decide: @escaping (Write) -> Outcome = { _ in .written }
    ) rethrows -> [Write] {
        precondition(installed, "SQLite's system calls can't be replaced")
        lock.withLock { _ in plans[pthread_self()] = Plan(decide: decide) }
        defer { lock.withLock { _ in plans[pthread_self()] = nil } }
        try body()
        return lock.withLock { _ in plans[pthread_self()]?.writes ?? [] }
    }

    private static func write(
        _ file: Int32,
        _ bytes: UnsafeRawPointer?,
        _ count: Int,
        _ offset: Int
    ) -> Int {
        let write = Write(bytes: count, offset: offset)
        guard var plan = lock.withLock({ _ in plans[pthread_self()] }) else {
            return system!(file, bytes, count, offset)
        }
        plan.writes.append(write)
        defer { lock.withLock { _ in plans[pthread_self()] = plan } }
        if let code = plan.failing {
            errno = code
            return -1
        }
        switch plan.decide(write) {
        case .written: return system!(file, bytes, count, offset)
        case .cut(let length, let code):
            plan.failing = code
            if length > 0 { return system!(file, bytes, length, offset) }
            errno = code
            return -1
        }
    }
}
