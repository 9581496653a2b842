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

    /// The page at `-/NAME`, or nil where there is none.
    package static func page(named name: String) -> Page? { pages[name] }

    private static let html = "text/html; charset=utf-8"
    private static let style = "text/css; charset=utf-8"
    private static let script = "text/javascript; charset=utf-8"

    /// The index page: for browsers at the base path, and at `-/`, to which all other addresses are relative.
    package static let index = (ofBase: "/", ofService: "")

    private static let pages: [String: Page] = [
        index.ofService: Page(PackageResources.index_html, html),
        index.ofBase: Page(
            Array(
                String(decoding: PackageResources.index_html, as: UTF8.self)
                    .replacing(part: "<head>", with: "<head>\n<base href=\"-/\">", atMost: 1)
                    .utf8
            ),
            html
        ),
        "holdfast.js": Page(ClientScript.module, script),
        "holdfast.classic.js": Page(ClientScript.classic, script),
        "holdfast.d.ts": Page(PackageResources.holdfast_d_ts, "text/plain; charset=utf-8"),
        "chat": Page(PackageResources.chat_html, html),
        "chat.js": Page(PackageResources.chat_js, script),
        "here.js": Page(PackageResources.here_js, script),
        "chat.css": Page(PackageResources.chat_css, style),
        // For requests that accept HTML; otherwise `-/status` is JSON.
        "status": Page(PackageResources.status_html, html),
        "status.js": Page(PackageResources.status_js, script),
        "chart.js": Page(PackageResources.chart_js, script),
        "status.css": Page(PackageResources.status_css, style),
        "console": Page(PackageResources.console_html, html),
        "console.js": Page(PackageResources.console_js, script),
        "console.css": Page(PackageResources.console_css, style),
        "page.css": Page(PackageResources.page_css, style),
        "page.js": Page(PackageResources.page_js, script),
        "mark.svg": Page(PackageResources.mark_svg, "image/svg+xml"),
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
