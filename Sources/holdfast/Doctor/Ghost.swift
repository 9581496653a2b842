internal import Diagnosis
internal import FoundationEssentials

/// A stream that leaves nothing behind: Holdfast is told that its subscriber leaves, for a server on the way may not show
/// it, and no message ends a stream.
final class Ghost {
    let visit: Visit
    private let site: Site
    private let subscriber = UUID().uuidString
    private var hasLeft = false

    /// - Parameter query: what asks for a stream, where no header field does.
    init(_ site: Site, _ ward: Ward, query: String = "", _ headers: String...) throws {
        self.site = site
        let rest = query.isEmpty ? "" : "&" + query
        visit = try site.visit(
            "\(ward.channel)?subscriber=\(subscriber)\(rest)",
            headers: headers
        )
    }

    deinit { leave() }

    func leave() {
        guard !hasLeft else { return }
        hasLeft = true
        visit.leave()
        _ = try? site.answer("-/leave?subscriber=\(subscriber)", method: "POST")
    }
}
