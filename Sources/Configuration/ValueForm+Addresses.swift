extension ValueForm where Value == FastCGISettings.Listen {
    /// Where to listen: only where no other machine can connect, because whatever a FastCGI peer says about users and
    /// rights is believed.
    static let listen = ValueForm(
        allowed: "an absolute path of at most 107 bytes, 127.0.0.1:PORT, [::1]:PORT, or inherited",
        read: { text throws(ValueError) in
            if text == "inherited" { return .inherited }
            if text.hasPrefix("/") { return .unix(path: try checkedSocketPath(text)) }
            let (address, port) = try addressAndPort(text)
            return .tcp(address: address, port: port)
        },
        write: { $0.description }
    )
}

extension FastCGISettings.Listen {
    /// Reads the text as `listen` in the ini file does, or says why it is wrong.
    package static func read(_ text: String) -> Result<FastCGISettings.Listen, ListenProblem> {
        let form = ValueForm<FastCGISettings.Listen>.listen
        do throws(ValueError) {
            return .success(try form.read(text))
        } catch {
            return .failure(
                ListenProblem(
                    description: "\(shown(text)) \(error.wrong); allowed: \(form.allowed)"
                )
            )
        }
    }
}

/// Why a text is not an address to listen on.
package struct ListenProblem: Error, CustomStringConvertible {
    package let description: String
}

extension FastCGISettings.Listen: CustomStringConvertible {
    /// The address as written in the ini file.
    package var description: String {
        switch self {
        case .unix(let path): path
        case .tcp(let address, let port):
            address.utf8.contains(UInt8(ascii: ":")) ? "[\(address)]:\(port)" : "\(address):\(port)"
        case .inherited: "inherited"
        }
    }
}

extension ValueForm where Value == String {
    /// The path at which a Unix socket is created.
    static let socketPath = ValueForm(
        allowed: "an absolute path of at most 107 bytes",
        read: { text throws(ValueError) in
            guard text.hasPrefix("/") else { throw ValueError("is not an absolute path") }
            return try checkedSocketPath(text)
        },
        write: { $0 }
    )
}

/// `sun_path` holds 108 bytes with the terminating NUL (unix(7)).
private func checkedSocketPath(_ text: String) throws(ValueError) -> String {
    if text.utf8.count > 107 {
        throw ValueError("is too long for a socket's path, \(text.utf8.count) bytes")
    }
    if text.hasSuffix("/") { throw ValueError("is a directory, not the path of a socket") }
    return text
}

private func addressAndPort(_ text: String) throws(ValueError) -> (String, UInt16) {
    guard let colon = text.lastIndex(of: ":") else {
        throw ValueError("is neither a path nor an address with a port")
    }
    let address = text[..<colon]
    let digits = text[text.index(after: colon)...]
    guard let port = portNumber(digits) else {
        throw ValueError("has no port from 1 to 65535 at its end")
    }
    let open =
        "is not a loopback address; FastCGI has no authentication, so any client that reaches the port"
        + " could claim any right"
    if address.hasPrefix("["), address.hasSuffix("]") {
        guard address == "[::1]" else { throw ValueError(open) }
        return ("::1", port)
    }
    guard let octets = ipv4(address) else {
        throw ValueError("is not a path, nor a numeric address with a port")
    }
    guard octets[0] == 127 else { throw ValueError(open) }
    return (String(address), port)
}

/// Decimal without leading zeros, 1 to 65535.
private func portNumber(_ digits: some StringProtocol) -> UInt16? {
    guard let port = UInt16(digits), port > 0, String(port) == digits else { return nil }
    return port
}

private func ipv4(_ text: some StringProtocol) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let octets = parts.compactMap { part in UInt8(part).flatMap { String($0) == part ? $0 : nil } }
    return parts.count == 4 && octets.count == 4 ? octets : nil
}

extension ValueForm where Value == CORSSettings.Origins {
    /// Origins exactly as browsers send them (RFC 6454 §6.2), so that they are compared byte by byte.
    static let origins = ValueForm(
        allowed: "none, *, or origins such as https://www.example.org:8443 separated by commas",
        read: { text throws(ValueError) in
            let items = separated(text)
            switch items {
            case []: throw ValueError("names no origin")
            case ["none"]: return .listed([])
            case ["*"]: return .any
            default: break
            }
            let wrongs = items.compactMap { item in
                problem(inOrigin: item).map { wrong in
                    items.count == 1 ? wrong : "has '\(shown(item))', which \(wrong)"
                }
            }
            if !wrongs.isEmpty { throw ValueError(all: wrongs) }
            return .listed(items)
        },
        write: { origins in
            switch origins {
            case .any: "*"
            case .listed([]): "none"
            case .listed(let list): list.joined(separator: ", ")
            }
        }
    )
}

private func problem(inOrigin text: String) -> String? {
    switch text {
    case "*", "none": return "must stand alone"
    case "null": return "is what any sandboxed page sends and cannot be allowed"
    default: break
    }
    let pieces = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard pieces.count == 2, pieces[1].hasPrefix("//"), isScheme(pieces[0]) else {
        return "is not an origin; it begins with http:// or https://"
    }
    let scheme = pieces[0]
    let authority = pieces[1].dropFirst(2)
    if authority.contains("/") { return "has a path; an origin ends after the host or port" }
    if authority.contains("*") { return "has a '*'; each origin is listed in full" }
    if text != text.lowercased() { return "has upper-case letters; browsers send lower case" }
    guard let (host, port) = hostAndPort(authority), isHost(host) else {
        return "has no valid host and port"
    }
    if let port {
        guard let number = portNumber(port) else { return "has no port from 1 to 65535 at its end" }
        if (scheme == "http" && number == 80) || (scheme == "https" && number == 443) {
            return "names the default port, which browsers leave out"
        }
    }
    return nil
}

private func hostAndPort(_ text: Substring) -> (host: Substring, port: Substring?)? {
    var afterHost = text.firstIndex(of: ":") ?? text.endIndex
    if text.hasPrefix("[") {
        guard let bracket = text.firstIndex(of: "]") else { return nil }
        afterHost = text.index(after: bracket)
    }
    let rest = text[afterHost...]
    guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
    return (text[..<afterHost], rest.isEmpty ? nil : rest.dropFirst())
}

private func isScheme(_ text: some StringProtocol) -> Bool {
    guard let first = text.utf8.first, isLetter(first) else { return false }
    return text.utf8.allSatisfy { isLetter($0) || isDigit($0) || "+-.".utf8.contains($0) }
}

private func isHost(_ text: some StringProtocol) -> Bool {
    if text.hasPrefix("[") {
        let inside = text.utf8.dropFirst().dropLast()
        return inside.count >= 2
            && inside.allSatisfy {
                isDigit($0) || (0x61...0x66).contains($0) || ":.".utf8.contains($0)
            }
    }
    return !text.isEmpty
        && text.utf8.allSatisfy { isLetter($0) || isDigit($0) || "-._".utf8.contains($0) }
}

private func isLetter(_ byte: UInt8) -> Bool {
    (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte)
}

private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
