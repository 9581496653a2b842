internal import ArgumentParser
internal import Glibc
internal import Reactor

/// Descriptors 0 to 2 of this process.
enum StandardStreams {
    /// Whoever started us may have closed some; the next file or socket would take their place, and be read from or
    /// written to by mistake. They are opened so that using them fails.
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
        // Nobody could be told that it fails.
        _ = SystemCalls.writeAll(2, Array((line + "\n").utf8))
    }
}

/// Results, at once. A program that can't say them ends, as sysexits(3) has it.
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
    /// What is there, waited for; empty at the end.
    static func next() throws -> [UInt8] {
        let bytes = SystemCalls.readSome(0)
        guard let bytes else {
            StandardError.write(
                "holdfast: cannot read standard input: \(SystemError.sentence(of: errno))"
            )
            throw ExitCode(EX_IOERR)
        }
        return bytes
    }

    /// All of it; nil as soon as there is more than the limit.
    static func all(atMost limit: Int) throws -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count <= limit {
            let next = try next()
            if next.isEmpty { return bytes }
            bytes += next
        }
        return nil
    }
}
