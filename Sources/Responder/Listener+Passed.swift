internal import CLinux
internal import Channels
internal import Configuration
internal import Glibc
internal import System

/// Sockets that a service manager passed. They must match the ini file.
extension Listener {
    /// The socket for web servers: the passed one, or else a new one.
    static func forWebServers(
        _ settings: FastCGISettings,
        passed: PassedSockets
    ) throws(ListenerError) -> Listener {
        guard let number = passed.fastcgi else { return try Listener(settings) }
        let found = try check(number, named: "fastcgi")
        guard settings.listen == .inherited || settings.listen == found else {
            throw .sentence(differs("fastcgi", found, "\(settings.listen)", key))
        }
        return try adopt(number)
    }

    /// The passed bus socket, if any.
    static func ofBus(
        _ settings: BusSettings,
        passed: PassedSockets
    ) throws(ListenerError) -> Listener? {
        guard let number = passed.bus else { return nil }
        let found = try check(number, named: "bus")
        guard let path = settings.socket, found == .unix(path: path) else {
            throw .sentence(differs("bus", found, settings.socket ?? "none", busKey))
        }
        return try adopt(number)
    }

    private static func adopt(_ number: Int32) throws(ListenerError) -> Listener {
        sendAtOnce(number)
        try makeNonBlocking(number)
        return Listener(socket: OwnedDescriptor(number), lock: nil, path: nil, isPassed: true)
    }

    private static func differs(
        _ name: String,
        _ found: FastCGISettings.Listen,
        _ wanted: String,
        _ key: String
    ) -> String {
        "the socket \(name) that the service manager passed listens on \(found), but \(key) is \(wanted); "
            + "change one of them (ListenStream= in the socket unit)"
    }

    /// Returns the address at which the socket listens.
    ///
    /// - Throws: if it is not a listening stream socket, or if everybody may connect.
    private static func check(
        _ number: Int32,
        named name: String
    ) throws(ListenerError) -> FastCGISettings.Listen {
        let what = "descriptor \(number), which the service manager passed as \(name),"
        guard option(number, SO_TYPE) == Int32(SOCK_STREAM.rawValue),
            option(number, SO_ACCEPTCONN) == 1
        else {
            throw .sentence(
                "\(what) is not a listening stream socket (ListenStream= with Accept=no in the socket unit)"
            )
        }
        guard let place = address(of: number) else {
            throw .sentence("\(what) is neither a Unix socket with a path nor a TCP socket")
        }
        var info = stat()
        if case .unix(let path) = place, unsafe stat(path, &info) == 0, info.st_mode & 0o007 != 0 {
            let mode = "0" + String(info.st_mode & 0o777, radix: 8)
            throw .sentence(
                "\(path) has the mode \(mode), so that everybody may connect, and what is said there is believed; "
                    + "set SocketMode=0660 in the socket unit, or less"
            )
        }
        try requireLoopback(place, what)
        return place
    }

    /// Requires an address that only this machine can connect to, since every peer is trusted.
    ///
    /// - Parameter what: the socket, the subject of the sentence.
    static func requireLoopback(
        _ place: FastCGISettings.Listen,
        _ what: String
    ) throws(ListenerError) {
        guard case .tcp(let address, _) = place, !address.hasPrefix("127."), address != "::1"
        else { return }
        throw .sentence(
            "\(what) listens on \(place), so that other machines may connect, and what is said there is believed; "
                + "use a Unix socket, 127.0.0.1 or [::1]"
        )
    }

    private static func option(_ number: Int32, _ option: Int32) -> Int32? {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return unsafe getsockopt(number, SOL_SOCKET, option, &value, &size) == 0 ? value : nil
    }

    /// The address as in the ini file; nil if it has no form there.
    static func address(of number: Int32) -> FastCGISettings.Listen? {
        switch SocketName(of: number) {
        case .unix(let path): .unix(path: path)
        case .tcp(let address, let port): .tcp(address: address, port: port)
        case nil: nil
        }
    }
}
