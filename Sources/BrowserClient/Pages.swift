internal import Embedded
internal import Text

/// The pages inside the binary, so that nothing needs to be installed beside it.
///
/// They are served below `-/` of the base path and refer to everything by relative addresses, so they work wherever the
/// web server mounts Holdfast. They need no inline script or style, and declare that in a Content-Security-Policy of
/// their own.
package enum Pages {
    /// A page as it is sent.
    package struct Page: Sendable {
        /// UTF-8.
        package let bytes: [UInt8]
        /// The same, compressed once for all clients that accept it; nil if compression saves nothing.
        package let gzipped: [UInt8]?
        /// Ready for `Content-Type`.
        package let contentType: String
        /// Strong and quoted, ready for `ETag`.
        package let etag: String
    }

    /// A file of the directory Resources.
    private static func file(_ name: String) -> [UInt8] { EmbeddedFile.bytes(of: name) }

    /// The page at `-/NAME`, or nil if there is none.
    package static func page(named name: String) -> Page? { pages[name] }

    private static let html = "text/html; charset=utf-8"
    private static let style = "text/css; charset=utf-8"
    private static let script = "text/javascript; charset=utf-8"

    /// The index page: for browsers at the base path, and at `-/`, to which all other addresses are relative.
    package static let index = (ofBase: "/", ofService: "")

    private static let pages: [String: Page] = [
        index.ofService: Page(file("index.html"), html),
        index.ofBase: Page(
            Array(
                String(decoding: file("index.html"), as: UTF8.self)
                    .replacing(part: "<head>", with: "<head>\n<base href=\"-/\">", atMost: 1)
                    .utf8
            ),
            html
        ),
        "holdfast.js": Page(ClientScript.module, script),
        "holdfast.classic.js": Page(ClientScript.classic, script),
        "holdfast.d.ts": Page(file("holdfast.d.ts"), "text/plain; charset=utf-8"),
        "chat": Page(file("chat.html"), html),
        "chat.js": Page(file("chat.js"), script),
        "here.js": Page(file("here.js"), script),
        "chat.css": Page(file("chat.css"), style),
        // For requests that accept HTML; otherwise `-/status` is JSON.
        "status": Page(file("status.html"), html),
        "status.js": Page(file("status.js"), script),
        "chart.js": Page(file("chart.js"), script),
        "status.css": Page(file("status.css"), style),
        "console": Page(file("console.html"), html),
        "console.js": Page(file("console.js"), script),
        "console.css": Page(file("console.css"), style),
        "page.css": Page(file("page.css"), style),
        "page.js": Page(file("page.js"), script),
        "mark.svg": Page(file("mark.svg"), "image/svg+xml"),
    ]
}

extension Pages.Page {
    fileprivate init(_ bytes: [UInt8], _ contentType: String) {
        self.bytes = bytes
        gzipped = gzip(bytes)
        self.contentType = contentType
        etag = "\"\(Self.fingerprint(of: bytes))\""
    }

    /// It need only differ from one build's page to the next's, and must be the same in every process.
    private static func fingerprint(of bytes: [UInt8]) -> String {
        String(FNV1a<UInt64>.of(bytes.span), radix: 16)
    }
}
