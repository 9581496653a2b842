internal import ArgumentParser
internal import Glibc
internal import System

/// Descriptors 0 to 2 of this process.
enum StandardStreams {
    /// Opens those of them that are closed, in such a way that using them fails. Otherwise the next file or socket
    /// would take their number, and be read from or written to by mistake.
    static func keepOpen() {
        for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) < 0 {
            let null = unsafe open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY)
            if null >= 0, null != descriptor {
                dup2(null, descriptor)
                close(null)
            }
        }
    }
}

/// Lines for people.
enum StandardError {
    static func write(_ line: String) {
        // There is no other place to report a failure.
        _ = SystemCalls.writeAll(2, Array((line + "\n").utf8))
    }
}

/// Writes results, unbuffered. The program ends if it cannot write them, with the code that sysexits(3) defines.
enum StandardOutput {
    static func write(_ text: String) { write(Array(text.utf8)) }

    static func write(_ bytes: [UInt8]) {
        guard SystemCalls.writeAll(1, bytes) else {
            StandardError.write("holdfast: cannot write: \(SystemError.sentence(of: errno))")
            Glibc.exit(EX_IOERR)
        }
    }

    static func writeLine(_ text: String) { write(text + "\n") }
    static func writeLine(_ bytes: [UInt8]) { write(bytes + [0x0A]) }
}

enum StandardInput {
    /// Waits for input and returns what has arrived; empty at the end.
    static func next() throws(ExitCode) -> [UInt8] {
        let bytes = SystemCalls.readSome(0)
        guard let bytes else {
            StandardError.write(
                "holdfast: cannot read standard input: \(SystemError.sentence(of: errno))"
            )
            throw ExitCode(EX_IOERR)
        }
        return bytes
    }

    /// The first line, without its end, as soon as it is there; more than the limit of one that is longer.
    static func line(atMost limit: Int) throws(ExitCode) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count <= limit {
            let next = try next()
            if next.isEmpty { break }
            if let end = next.firstIndex(of: 0x0A) {
                bytes += next[..<end]
                break
            }
            bytes += next
        }
        if bytes.last == 0x0D { bytes.removeLast() }
        return bytes
    }

    /// All of standard input; nil as soon as it exceeds the limit.
    static func all(atMost limit: Int) throws(ExitCode) -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count <= limit {
            let next = try next()
            if next.isEmpty { return bytes }
            bytes += next
        }
        return nil
    }
}
