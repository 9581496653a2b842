import Channels
import Configuration
import Endpoint
import Identity
import Text

/// A signed link that a request shows.
struct Link {
    /// Milliseconds since 1970.
    let expires: Int64
    /// It was made for what it is used for.
    let isGood: Bool
}

/// Signed links, and requests that have their variables in common.
extension World {
    private static let ring = KeyRing([Plan.key])

    /// Adds a link that opens the channels of a request for a while; or one for something else, which opens nothing.
    func showLink(_ call: inout Call) {
        guard let places = call.session?.channels else { return }
        let seconds = (log.wall + Int64(chance.between(-2000, 40_000))) / 1000
        let link = SignedLink(
            channels: places.map { log.names[$0] },
            expires: String(seconds),
            rights: chance.one(of: [nil, "read", "read,publish", "publish"]) ?? nil
        )
        var signed = link
        switch chance.below(10) {
        case 0: signed.expires = String(seconds + 1)
        case 1: signed.channels = [log.names[0]]
        case 2: signed.rights = link.rights == nil ? "read" : nil
        default: break
        }
        let signature = Self.ring.signature(of: signed, keyName: Plan.key.name) ?? ""
        var query = "&expires=\(link.expires)&signature=\(signature)"
        if let rights = link.rights { query += "&rights=\(rights)" }
        if chance.happens(300) { query += "&key=\(Plan.key.name)" }
        for at in call.variables.indices
        where ["REQUEST_URI", "QUERY_STRING"].contains(call.variables[at].name) {
            call.variables[at].value += query
        }
        let isGood = signed == link && link.rights != "publish"
        call.link = Link(expires: seconds * 1000, isGood: isGood)
        call.statuses = isGood ? call.statuses + [401, 403] : [401, 403]
        count(isGood ? "links" : "links that open nothing")
    }

    /// The clock by which its link is judged is that of its coming.
    func noteLink(_ number: Int) {
        guard let link = calls[number].link, link.isGood else { return }
        calls[number].rightEndsAt = now + max(0, link.expires - log.wall)
    }

    /// Variables as the shell decodes them: those that a request of late had as well are not read again.
    func decoded(
        _ variables: [(name: String, value: String)],
        _ process: SimulatedProcess
    ) -> CGIRequest {
        var common: [String] = []
        var particular: [(name: String, value: String)] = []
        for (name, value) in variables {
            switch Array(name.utf8).withUnsafeBytes({ CGIRequest.use(of: $0) }) {
            case .unused: break
            case .particular: particular.append((name, value))
            case .common: common += [name, value]
            case .divided:
                let (rest, own) = Self.divided(value)
                common += [name, rest]
                if let own { particular.append((name, own)) }
            }
        }
        var request = CGIRequest()
        if let known = process.memory.first(where: { $0.common == common }) {
            count("requests with the variables of another one")
            request = known.request
        } else {
            for at in stride(from: 0, to: common.count, by: 2) {
                Self.pass(common[at], common[at + 1]) { request.set($0, $1) }
            }
            request.parseFields()
            process.memory.append((common, request))
            if process.memory.count > 6 { process.memory.removeFirst() }
        }
        for (name, value) in particular {
            Self.pass(name, value) { request.setParticular($0, $1) }
        }
        return request
    }

    /// A query, or an address with one: the parameters that are one client's own, and the rest.
    private static func divided(_ value: String) -> (rest: String, own: String?) {
        func isOwn(_ field: Substring) -> Bool {
            field.hasPrefix("subscriber=") || field.hasPrefix("name=")
        }
        // The first one is never a client's own.
        let fields = value.split(separator: "&", omittingEmptySubsequences: false)
        let own = fields.filter(isOwn)
        guard !own.isEmpty else { return (value, nil) }
        let rest = fields.filter { !isOwn($0) }
        return (rest.joined(separator: "&"), own.joined(separator: "&"))
    }

    private static func pass(
        _ name: String,
        _ value: String,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
    ) {
        Array(name.utf8).withUnsafeBytes { name in
            Array(value.utf8).withUnsafeBytes { value in body(name, value) }
        }
    }
}
