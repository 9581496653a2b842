/// The form of an idempotency key in the engine.
package enum EngineKey {
    /// 32 bytes, whatever the length.
    package static func hash(_ text: String) -> [UInt8] { SHA256.hash(Array(text.utf8)) }
}
