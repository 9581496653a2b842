internal import CLinux
internal import Glibc
internal import System
internal import Text

/// A connection to the bus socket that sends bytes and receives lines; it waits, but never past the deadline given.
package final class LineConnection {
    package enum Line: Equatable {
        case line([UInt8])
        /// Nothing arrived in time.
        case nothing
        /// The other side has closed; an unfinished line is dropped.
        case end
    }

    private let descriptor: OwnedDescriptor
    /// Whether it leads to a responder inside this process, because no process serves the bus.
    package let isInside: Bool
    private var unread = ByteQueue()

    /// Takes ownership of a connected socket.
    package init(_ descriptor: Int32, isInside: Bool = false) {
        self.descriptor = OwnedDescriptor(descriptor)
        self.isInside = isInside
    }

    /// Connects to a path; nil, with errno set, on failure.
    package static func connect(_ path: String) -> LineConnection? {
        Sockets.connect(unix: path).map { LineConnection($0) }
    }

    package var number: Int32 { descriptor.number }

    /// Sends all bytes. False if the other side has closed, or does not take them by the deadline.
    package func send(_ bytes: [UInt8], until deadline: Int64) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let outcome = unsafe bytes.withUnsafeBytes { all in
                unsafe SystemCalls.send(
                    descriptor.number,
                    UnsafeRawBufferPointer(rebasing: all[sent...])
                )
            }
            switch outcome {
            case .bytes(let count): sent += count
            case .ended: return false
            case .wouldBlock:
                guard wait(for: POLLOUT, until: deadline) else { return false }
            }
        }
        return true
    }

    /// Waits for the next line, without its end.
    package func next(until deadline: Int64) -> Line {
        while true {
            if let line = takeLine() { return .line(line) }
            guard wait(for: POLLIN, until: deadline) else { return .nothing }
            if !receive() { return .end }
        }
    }

    /// Returns a line that has already arrived, or nil.
    package func takeLine() -> [UInt8]? { unread.takeLine() }

    /// Receives what has arrived, or waits for it; false at the end.
    package func receive() -> Bool {
        let count = SystemCalls.retrying {
            unsafe withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 16) { buffer in
                let count = unsafe recv(descriptor.number, buffer.baseAddress, buffer.count, 0)
                if count > 0 {
                    unsafe unread.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                }
                return count
            }
        }
        return count > 0
    }

    private func wait(for event: Int32, until deadline: Int64) -> Bool {
        while true {
            let left = deadline - MonotonicClock.milliseconds()
            if left <= 0 { return false }
            var look = pollfd(fd: descriptor.number, events: Int16(event), revents: 0)
            let ready = unsafe poll(&look, 1, Int32(clamping: left))
            if ready > 0 { return true }
        }
    }
}
