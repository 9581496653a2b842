internal import BusClient
internal import Channels
internal import Configuration
internal import Diagnosis
internal import FoundationEssentials

/// The channel that is examined.
struct Ward {
    let channel: String
    /// Nobody else uses it: its last segment says that it is the doctor's.
    var isOwn: Bool { channel.split(separator: "/").last?.hasPrefix("doctor-") ?? false }
    /// Why nothing can be published there; nil where something was.
    private(set) var silence: String?
    /// The longest hold that clients are granted, where the site says so.
    private(set) var grantedSeconds: Int?

    /// Channels that may be open are tried, those of the doctor's own first.
    ///
    /// - Returns: nil where none of them is, and a closed one where one was met.
    static func find(
        named: String?,
        at site: Site,
        _ witness: Witness,
        _ settings: Settings?
    ) throws -> (open: Ward?, closed: String?) {
        var closed: String?
        for name in try candidates(named, witness, settings) {
            let status = try site.status(name)
            if status == 200 { return (try Ward(name, site, witness), closed) }
            if closed == nil, status == 403, named == nil { closed = name }
        }
        return (nil, closed)
    }

    private init(_ channel: String, _ site: Site, _ witness: Witness) throws {
        self.channel = channel
        guard isOwn else {
            silence =
                "others may use the channel \(channel); open one of doctor's own: [allow doctor-examines] read = everyone."
            return
        }
        let text = "holdfast doctor \(UUID().uuidString)"
        do {
            try witness.publish(text, to: channel)
        } catch let error as BusClientError {
            silence = "\(error)"
            return
        }
        let target = "\(channel)?since=last:1"
        let answer = try site.answer(target, headers: ["Accept-Encoding: identity"])
        let hasCome =
            answer.map { String(decoding: $0.body, as: UTF8.self).contains(text) } ?? false
        guard hasCome else {
            witness.delete(channel)
            try witness.turnsAway(to: site)
            silence = "the bus that was asked is not the one behind this URL."
            return
        }
        // Answered at once, for there is something, whatever is to be waited.
        grantedSeconds = try site.answer(target, headers: ["Prefer: wait=86400"])?
            .head?.grantedWaitSeconds
    }

    private static func candidates(
        _ named: String?,
        _ witness: Witness,
        _ settings: Settings?
    ) throws -> [String] {
        if let named { return [named] }
        // The same each time: the log remembers a channel when its messages are gone.
        let own = "doctor-examines"
        var names = [own]
        for rule in settings?.allow ?? [] where rule.read == .everyone {
            let segments = rule.pattern.text.split(separator: "/")
            names.append(
                segments.map { $0.contains("*") ? own : String($0) }.joined(separator: "/")
            )
        }
        // What is beside or below a channel that is in use may be as open as that.
        for name in try witness.channels(atMost: 8) {
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
