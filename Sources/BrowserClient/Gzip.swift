internal import CZlib

/// Compresses bytes with gzip; nil if that saves less than a tenth.
func gzip(_ bytes: [UInt8]) -> [UInt8]? {
    // The length must fit into 32 bits, as that of pages does.
    let room = bytes.count - bytes.count / 10
    guard room > 0, let count = UInt32(exactly: bytes.count) else { return nil }
    let compressed = unsafe [UInt8](unsafeUninitializedCapacity: room) { target, written in
        let length = unsafe bytes.withUnsafeBufferPointer { source in
            unsafe czlib_gzip(source.baseAddress, count, target.baseAddress, UInt32(room))
        }
        written = max(0, length)
    }
    return compressed.isEmpty ? nil : compressed
}
