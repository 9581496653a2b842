internal import Diagnosis
internal import Text

/// A stream that is ended explicitly: Holdfast is told that its subscriber leaves, because a server on the way may hide
/// the departure and no message ends a stream.
final class TestStream {
    let transfer: CurlTransfer
    private let site: Site
    private let subscriber = String.randomName() + String.randomName()
    private var hasLeft = false

    /// - Parameter query: asks for a stream where no header field does.
    init(_ site: Site, _ channel: TestChannel, query: String = "", _ headers: String...)
        throws(DoctorError)
    {
        self.site = site
        let rest = query.isEmpty ? "" : "&" + query
        transfer = try site.transfer(
            "\(channel.name)?subscriber=\(subscriber)\(rest)",
            headers: headers
        )
    }

    deinit { leave() }

    func leave() {
        guard !hasLeft else { return }
        hasLeft = true
        transfer.leave()
        _ = try? site.answer("-/leave?subscriber=\(subscriber)", method: "POST")
    }
}
