internal import BusClient
internal import Channels
internal import Configuration
internal import Diagnosis
internal import Text

/// The channel used for the examination.
struct TestChannel {
    let name: String
    /// Whether nobody else uses it: the last segment shows that it is doctor's own.
    var isOwn: Bool { name.split(separator: "/").last?.hasPrefix("doctor-") ?? false }
    /// Why nothing can be published there; nil if a message was.
    private(set) var obstacle: String?
    /// The longest hold that clients are granted, if the site gives it.
    private(set) var grantedSeconds: Int?

    /// Tries channels that may be open, doctor's own first.
    ///
    /// - Returns: the first open one, or nil; a closed one if one was met; and what the first one answers that is not open.
    static func find(
        named: String?,
        at site: Site,
        _ responder: ResponderClient,
        _ settings: Settings?
    ) throws(DoctorError) -> (open: TestChannel?, closed: String?, refusal: String?) {
        // By Holdfast, or else by the web server: a page to log in says nothing about Holdfast.
        var (closed, locked): (String?, String?)
        var refusal: String?
        for name in try candidates(named, responder, settings) {
            let answer = try site.answer(name)
            let status = answer?.head?.status
            if status == 200 {
                return (try TestChannel(name, site, responder), closed ?? locked, refusal)
            }
            let code = answer.flatMap { Self.code(of: $0.body) }
            if refusal == nil { refusal = sentence(name, status, code) }
            guard status == 403 || status == 401 else { continue }
            if code == nil { locked = locked ?? name } else { closed = closed ?? name }
        }
        return (nil, closed ?? locked, refusal)
    }

    private static func sentence(_ name: String, _ status: Int?, _ code: String?) -> String {
        guard let status else { return "\(name) does not answer" }
        return "\(name) answers \(status)" + (code.map { " (\($0))" } ?? "")
    }

    /// The code of a problem, as Holdfast gives it.
    private static func code(of body: [UInt8]) -> String? {
        guard let code = JSONValue(body)?["code"]?.string, code.utf8.count <= 32,
            code.utf8.allSatisfy({ (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "_") })
        else { return nil }
        return code
    }

    private init(_ name: String, _ site: Site, _ responder: ResponderClient) throws(DoctorError) {
        self.name = name
        guard isOwn else {
            obstacle =
                "others may use the channel \(name); open one of doctor's own: [allow doctor-examines] read = everyone."
            return
        }
        let text = "holdfast doctor \(String.randomName())"
        do {
            try responder.publish(text, to: name)
        } catch {
            obstacle = "\(error)"
            return
        }
        let target = "\(name)?since=last:1"
        let answer = try site.answer(target, headers: ["Accept-Encoding: identity"])
        let hasCome =
            answer.map { String(decoding: $0.body, as: UTF8.self).includes(text) } ?? false
        guard hasCome else {
            responder.delete(name)
            try responder.askPages(of: site)
            obstacle = "the bus that was asked is not the one behind this URL."
            return
        }
        // Answered at once, whatever the wait, because there is a message.
        grantedSeconds = try site.answer(target, headers: ["Prefer: wait=86400"])?
            .head?.grantedWaitSeconds
    }

    private static func candidates(
        _ named: String?,
        _ responder: ResponderClient,
        _ settings: Settings?
    ) throws(DoctorError) -> [String] {
        if let named { return [named] }
        // Always the same name: the log remembers a channel even when its messages are gone.
        let own = "doctor-examines"
        var names = [own]
        for rule in settings?.allow ?? [] where rule.read == .everyone {
            let segments = rule.pattern.text.split(separator: "/")
            names.append(
                segments.map { $0.contains("*") ? own : String($0) }.joined(separator: "/")
            )
        }
        // A channel beside or below one that is in use may be as open as that one.
        for name in try responder.channels(atMost: 8) {
            var segments = name.split(separator: "/").map(String.init)
            names.append(name + "/" + own)
            segments[segments.count - 1] = own
            names.append(segments.joined(separator: "/"))
            names.append(name)
        }
        var seen: Set<String> = []
        return names.filter { (try? ChannelName($0)) != nil && seen.insert($0).inserted }
    }
}
