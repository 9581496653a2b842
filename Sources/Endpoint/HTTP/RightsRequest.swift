internal import Channels
internal import Text

extension HTTPInterface {
    /// `GET …/-/rights/{channel}`: what this client may do with a channel, so that a page offers only that.
    ///
    /// `{"channel":…,"read":…,"publish":…,"user":…}`; the user is the one that the web server or a token names,
    /// or null. A client could find out all of this by trying.
    func rights(
        _ name: String,
        _ request: borrowing CGIRequest,
        _ shape: Shape
    ) throws(Problem) -> Answer {
        let channel = try ChannelName(requested: name)
        let shown = try shown(by: request, Self.query(of: request), [channel])
        let reader = reader(request, shown)
        let author = try? author(of: request, showing: shown, to: "publish")
        var body: [UInt8] = []
        body.openObject()
        body.append(member: "channel", text: channel.text)
        body.append(member: "read", reader.cover(channel))
        body.append(member: "publish", !channel.isOwn && author?.rights.cover(channel) == true)
        let isForAnyone = crossOrigin.opensToAnyone(request)
        var user: String?
        if !isForAnyone { user = try self.user(request) }
        if user == nil { user = try shown.named(toOthers: isForAnyone) }
        if let user {
            body.append(member: "user", text: user)
        } else {
            body.append(nullMember: "user")
        }
        body.closeObjectAndLine()
        return shape.plain("application/json; charset=utf-8", body)
    }
}
