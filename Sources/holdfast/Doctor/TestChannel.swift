internal import BusClient
internal import Channels
internal import Configuration
internal import Diagnosis
internal import FoundationEssentials

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
    /// - Returns: the first open one, or nil, and a closed one if one was met.
    static func find(
        named: String?,
        at site: Site,
        _ responder: ResponderClient,
        _ settings: Settings?
    ) throws -> (open: TestChannel?, closed: String?) {
        var closed: String?
        for name in try candidates(named, responder, settings) {
            let status = try site.status(name)
            if status == 200 { return (try TestChannel(name, site, responder), closed) }
            if closed == nil, status == 403, named == nil { closed = name }
        }
        return (nil, closed)
    }

    private init(_ name: String, _ site: Site, _ responder: ResponderClient) throws {
        self.name = name
        guard isOwn else {
            obstacle =
                "others may use the channel \(name); open one of doctor's own: [allow doctor-examines] read = everyone."
            return
        }
        let text = "holdfast doctor \(UUID().uuidString)"
        do {
            try responder.publish(text, to: name)
        } catch let error as BusClientError {
            obstacle = "\(error)"
            return
        }
        let target = "\(name)?since=last:1"
        let answer = try site.answer(target, headers: ["Accept-Encoding: identity"])
        let hasCome =
            answer.map { String(decoding: $0.body, as: UTF8.self).contains(text) } ?? false
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
    ) throws -> [String] {
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
