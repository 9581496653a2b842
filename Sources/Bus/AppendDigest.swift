import Channels
import Text

/// Distinguishes requests: FNV-1a with 128 bits over everything that subscribers would see.
///
/// A publisher could construct two requests that collide, and would deceive only itself.
enum AppendDigest {
    static func of(_ append: Append) -> [UInt8] {
        var hash = FNV1a<UInt128>()
        func add(text: String?) {
            hash.combine(text?.utf8.count ?? -1)
            if let text { hash.combine(text.utf8Span.span) }
        }
        for name in append.dropping { add(text: name.text) }
        for draft in append.drafts {
            add(text: draft.channel.text)
            hash.combine(Int(draft.kind.rawValue))
            add(text: draft.contentType)
            add(text: draft.type)
            add(text: draft.topic)
            hash.combine(draft.timeToLiveSeconds ?? -1)
            hash.combine(draft.body.count)
            let body = draft.body
            hash.combine(body.span)
        }
        return stride(from: 0, to: 128, by: 8).map { UInt8(truncatingIfNeeded: hash.value >> $0) }
    }
}
