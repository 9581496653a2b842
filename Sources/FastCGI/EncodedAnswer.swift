/// Records ready to be sent, encoded for id 1; the same bytes serve every request they answer.
package struct EncodedAnswer: Equatable, Sendable {
    package let bytes: [UInt8]

    package init(bytes: [UInt8]) { self.bytes = bytes }

    /// The records with another id in every header; for id 1, `bytes` itself, shared.
    package func bytes(for id: RequestID) -> [UInt8] {
        guard id != .first else { return bytes }
        var patched = bytes
        var at = 0
        while at < patched.count {
            patched[at + 2] = UInt8(id.value >> 8)
            patched[at + 3] = UInt8(truncatingIfNeeded: id.value)
            let content = Int(patched[at + 4]) << 8 | Int(patched[at + 5])
            at += RecordHeader.byteCount + content + Int(patched[at + 6])
        }
        return patched
    }
}
