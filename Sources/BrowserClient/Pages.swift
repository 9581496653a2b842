/// The pages the binary carries, so that there is nothing to install beside it.
///
/// They are served below `-/` of the base path and find everything else by relative addresses, so that they work
/// wherever the web server mounts Holdfast. They need no inline script or style, and say so in a
/// Content-Security-Policy of their own.
package enum Pages {
    /// One page as it goes over the wire.
    package struct Page: Sendable {
        /// UTF-8.
        package let bytes: [UInt8]
        /// Ready for `Content-Type`.
        package let contentType: String
        /// Strong and quoted, ready for `ETag`.
        package let etag: String
    }

    /// The page at `-/NAME`, or nil where there is none.
    package static func page(named name: String) -> Page? {
        switch name {
        case "chat": chat
        case "chat.js": chatScript
        case "chat.css": chatStyle
        case "chat.svg": chatMark
        default: nil
        }
    }

    private static let chat = Page(PackageResources.chat_html, "text/html; charset=utf-8")
    private static let chatScript = Page(PackageResources.chat_js, "text/javascript; charset=utf-8")
    private static let chatMark = Page(PackageResources.chat_svg, "image/svg+xml")
    private static let chatStyle = Page(PackageResources.chat_css, "text/css; charset=utf-8")
}

extension Pages.Page {
    fileprivate init(_ bytes: [UInt8], _ contentType: String) {
        self.bytes = bytes
        self.contentType = contentType
        etag = "\"\(Self.fingerprint(of: bytes))\""
    }

    /// FNV-1a, 64 bits: it need only differ from one build's page to the next's, and must be the same in every
    /// process, which Swift's own hash isn't.
    private static func fingerprint(of bytes: [UInt8]) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        return String(hash, radix: 16)
    }
}
