internal import CEmbedded

/// Files that are inside the program.
package enum EmbeddedFile {
    /// The bytes of the file of this name, such as `client.js`. It is a mistake in the program if there is none.
    package static func bytes(of name: String) -> [UInt8] {
        let file = unsafe cembedded(name)
        unsafe precondition(file.bytes != nil, "there is no file \(name)")
        return unsafe [UInt8](UnsafeRawBufferPointer(start: file.bytes, count: file.count))
    }
}
