internal import Glibc
internal import Synchronization
internal import System

/// Looks up the names of hosts, each on a thread of its own.
///
/// libpq does so while it begins to connect, and waits for name servers that do not answer as long as the system does:
/// ten seconds and more, in which publishers would get no answer. A machine that loses its network loses these, too.
enum HostAddresses {
    private final class Lookup: Sendable {
        let outcome = Mutex<Result<[String], PostgresError>?>(nil)
        let bell = FutexWord()
        let beganAt = MonotonicClock.milliseconds()
    }

    /// Those under way, which cannot be ended.
    private struct Lookups: Sendable {
        /// Of each name, however many wait for it.
        var newest: [String: Lookup] = [:]
        var threads = 0
    }

    private static let lookups = Mutex(Lookups())
    private static let threadLimit = 8
    /// One that takes longer may have missed that name servers answer again.
    static let patienceMilliseconds: Int64 = 2000

    /// The options with the addresses of their host, if it has a name.
    static func added(
        to options: [(keyword: String, value: String)],
        deadline: Int64
    ) throws(PostgresError) -> [(keyword: String, value: String)] {
        func value(_ keyword: String) -> String {
            options.last { $0.keyword == keyword }?.value ?? ""
        }
        let name = value("host")
        // A path is that of a Unix socket; of several hosts, none has a number of its own here.
        guard value("hostaddr").isEmpty, let first = name.first, first != "/", first != "@",
            !name.utf8.contains(UInt8(ascii: ","))
        else { return options }
        let addresses = try find(name, deadline: deadline)
        // libpq tries them one by one. It needs the name as well, for passwords and certificates.
        let names = addresses.map { _ in name }.joined(separator: ",")
        return options.filter { $0.keyword != "host" && $0.keyword != "hostaddr" } + [
            ("host", names), ("hostaddr", addresses.joined(separator: ",")),
        ]
    }

    /// - Parameter lookUp: may block.
    static func find(
        _ name: String,
        deadline: Int64,
        patience: Int64 = patienceMilliseconds,
        lookUp: @escaping @Sendable (String) -> Result<[String], PostgresError> = addresses(of:)
    ) throws(PostgresError) -> [String] {
        let (lookup, isNew) = lookups.withLock { lookups in
            let own = Lookup()
            if let known = lookups.newest[name],
                own.beganAt < known.beganAt + patience || lookups.threads >= threadLimit
            {
                return (known, false)
            }
            lookups.newest[name] = own
            lookups.threads += 1
            return (own, true)
        }
        if isNew { begin(lookup, name, lookUp) }
        while true {
            let seen = lookup.bell.value
            if let outcome = lookup.outcome.withLock({ $0 }) { return try outcome.get() }
            let left = deadline - MonotonicClock.milliseconds()
            guard left > 0 else {
                throw .timedOut(
                    "the address of host \(name) was not found in time; do the name servers answer?"
                )
            }
            lookup.bell.wait(whileEqual: seen, milliseconds: left)
        }
    }

    private static func begin(
        _ lookup: Lookup,
        _ name: String,
        _ lookUp: @escaping @Sendable (String) -> Result<[String], PostgresError>
    ) {
        let end: @Sendable (Result<[String], PostgresError>) -> Void = { outcome in
            lookups.withLock { lookups in
                lookups.threads -= 1
                if lookups.newest[name] === lookup { lookups.newest[name] = nil }
            }
            lookup.outcome.withLock { $0 = outcome }
            lookup.bell.ring()
        }
        let thread = WorkerThread(name: "hf-names") { end(lookUp(name)) }
        if thread == nil { end(.failure(.connection("no thread to look up host \(name)"))) }
    }

    /// Blocks.
    static func addresses(of name: String) -> Result<[String], PostgresError> {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(name, nil, &hints, &first)
        guard code == 0 else {
            let reason = unsafe String(cString: gai_strerror(code))
            return .failure(.connection("the address of host \(name) is not found: \(reason)"))
        }
        defer { unsafe freeaddrinfo(first) }
        var found: [String] = []
        var next = unsafe first
        while let entry = unsafe next {
            if let text = unsafe text(entry.pointee) { found.append(text) }
            unsafe next = entry.pointee.ai_next
        }
        guard !found.isEmpty else {
            return .failure(.connection("host \(name) has no address"))
        }
        return .success(found)
    }

    /// The address as a number.
    private static func text(_ entry: addrinfo) -> String? {
        var text = [UInt8](repeating: 0, count: Int(NI_MAXHOST))
        let code = unsafe text.withUnsafeMutableBytes { place in
            unsafe getnameinfo(
                entry.ai_addr,
                entry.ai_addrlen,
                place.assumingMemoryBound(to: CChar.self).baseAddress,
                socklen_t(place.count),
                nil,
                0,
                NI_NUMERICHOST
            )
        }
        return code == 0 ? String(decoding: text.prefix { $0 != 0 }, as: UTF8.self) : nil
    }
}
