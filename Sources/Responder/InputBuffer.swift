internal import System

/// What is received goes here, whoever sent it. Reactor thread only.
@safe struct InputBuffer: ~Copyable {
    private let room = UnsafeMutableRawBufferPointer.allocate(
        byteCount: byteCount,
        alignment: 16
    )

    static let byteCount = 64 * 1024

    deinit { unsafe room.deallocate() }

    /// Receives available bytes, at most `byteCount`. They are valid until the next call.
    func receive(from descriptor: Int32) -> (Transfer, UnsafeRawBufferPointer) {
        let transfer = unsafe SystemCalls.receive(descriptor, into: room)
        let count = if case .bytes(let count) = transfer { count } else { 0 }
        return unsafe (transfer, UnsafeRawBufferPointer(rebasing: room[..<count]))
    }
}
