internal import Channels
internal import Text

extension Message {
    /// Adds the header fields of a body that is served as it is.
    ///
    /// A published body must not run as a page of this site, whatever type it claims to have, nor be loaded by one as a
    /// script or a style, nor by pages of other origins: so types that browsers execute or apply become plain text;
    /// everything is put into a sandbox without rights, because browsers interpret types in their own way; and other
    /// origins may use it only as far as [cors] allows. A type that violates the grammar, which other ways of
    /// publishing let into the log, is not served.
    func contentFields(_ document: inout CGIDocument, for shape: Shape) {
        document.field("Content-Type: ", safe: servedType)
        document.line("Content-Security-Policy: sandbox\r\n")
        shape.keepFromOthers(&document)
    }

    private var servedType: String {
        if kind == .json { return "application/json; charset=utf-8" }
        guard let type = MediaType(contentType) else {
            return kind == .text ? "text/plain; charset=utf-8" : "application/octet-stream"
        }
        if type.isActive {
            let charset = type.charset ?? "utf-8"
            let isToken = !charset.isEmpty && charset.utf8.allSatisfy(\.isTokenByte)
            return "text/plain; charset=" + (isToken ? charset : "utf-8")
        }
        return kind == .text ? type.withCharset : type.text
    }
}

extension Shape {
    /// Other origins may read what publishers sent only through CORS, not for example as an image, which needs no
    /// permission.
    func keepFromOthers(_ document: inout CGIDocument) {
        guard origin == .silent else { return }
        document.line("Cross-Origin-Resource-Policy: same-origin\r\n")
    }
}
