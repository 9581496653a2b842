internal import Embedded

/// The client in the two forms in which it is served: its source, client.js, between a few lines of its own.
///
/// client.js refers to the address that it was loaded from as `script`, and declares what it exports at the top level.
/// A package may put what a minifier makes of it in its place before it builds, as long as these names stay (`esbuild
/// --minify` keeps them); a build needs no such tool.
enum ClientScript {
    private static let exports = "eventParser, leave, presence, publish, subscribe"

    /// For `<script type="module">` and `import`.
    static let module = enclosed(
        between: "const script = import.meta.url;\n",
        and: "export { \(exports) };\n"
    )

    /// For a plain `<script>`: the same functions as members of the global `holdfast`.
    static let classic = enclosed(
        between: "globalThis.holdfast = ((script) => {\n",
        and: "return { \(exports) };\n})(document.currentScript.src);\n"
    )

    private static func enclosed(between head: String, and end: String) -> [UInt8] {
        Array(head.utf8) + EmbeddedFile.bytes(of: "client.js") + Array(end.utf8)
    }
}
