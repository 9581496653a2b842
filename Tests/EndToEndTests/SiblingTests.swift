import Glibc
import Harness
import Testing

/// What the processes of a bus say to each other, and what others say in their place.
@Suite struct SiblingTests {
    /// A datagram socket among those of the processes, as one that pretends to be one of them.
    private final class Pretender {
        private let descriptor: Int32
        private let directory: String

        init(_ server: HoldfastServer) throws {
            directory = server.directory.file("bus") + "/processes"
            descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            var address = Self.address("\(directory)/99999-abc")
            let bound = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            guard bound == 0 else { throw HarnessError("bind in \(directory): \(errno)") }
        }

        deinit { close(descriptor) }

        /// The socket of the process itself.
        func other() throws -> String {
            try waitFor("the process has a socket") {
                Files.names(in: directory).first { $0 != "99999-abc" }
            }
        }

        func send(_ bytes: [UInt8], to name: String) throws {
            var address = Self.address("\(directory)/\(name)")
            let sent = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(
                        descriptor,
                        bytes,
                        bytes.count,
                        0,
                        $0,
                        socklen_t(MemoryLayout<sockaddr_un>.size)
                    )
                }
            }
            guard sent == bytes.count else { throw HarnessError("sendto \(name): \(errno)") }
        }

        /// The next datagram of this kind.
        func next(_ kind: String) throws -> [UInt8] {
            while true {
                var look = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                guard poll(&look, 1, 60_000) == 1 else { throw HarnessError("no \(kind) came") }
                var bytes = [UInt8](repeating: 0, count: 65_536)
                let count = recv(descriptor, &bytes, bytes.count, 0)
                guard count >= 0 else { throw HarnessError("recv: \(errno)") }
                if bytes[0] == kind.utf8.first { return Array(bytes.prefix(count)) }
            }
        }

        private static func address(_ path: String) -> sockaddr_un {
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            return address
        }
    }

    private static let most: [UInt8] = [0x7F] + [UInt8](repeating: 0xFF, count: 7)

    @Test func `a sibling's figures of 2⁶³−1 ended the process`() throws {
        try HoldfastServer.with { server in
            let pretender = try Pretender(server)
            let name = try pretender.other()
            try pretender.send(Array("?".utf8) + [UInt8](repeating: 0, count: 8), to: name)
            let own = try pretender.next("=")
            // Behind kind and number: what tells releases apart, process, uptime, two switches, and the figures.
            let figures = (own.count - 9 - 5 * 8) / 8
            let figure = own[9..<17] + own[17..<49]
            for target in ["/push/-/status", "/push/-/metrics"] {
                // On a busy machine the pretender may be too slow, and is left out.
                let text = try waitFor("\(target) with its figures") {
                    let peer = try server.peer()
                    try peer.send(
                        FastCGIRequest("GET", target, params: [("HOLDFAST_OPERATOR", "1")])
                    )
                    while true {
                        let question = try pretender.next("?")
                        let number = question[1..<9]
                        // Not the look whether we live.
                        if number.allSatisfy({ $0 == 0 }) { continue }
                        let values = (0..<figures).flatMap { _ in Self.most }
                        let answer = Array("=".utf8) + number + figure + values
                        try pretender.send(answer, to: name)
                        // No client counts twice.
                        try pretender.send(answer, to: name)
                        break
                    }
                    let text = try peer.answer().text
                    return text.contains("9223372036854775807") ? text : nil
                }
                #expect(text.contains("_missing\":0") || text.contains("_missing 0"))
            }
        }
    }

    @Test func `a sibling's count of held requests ended the process`() throws {
        try HoldfastServer.with { server in
            try server.publish("a", "1")
            let held = try server.hold("/push/a?wait=25")
            let pretender = try Pretender(server)
            let name = try pretender.other()
            try waitUntil("its count is told, unless a busy machine is too slow for it") {
                let peer = try server.peer()
                try peer.send(
                    FastCGIRequest("GET", "/push/-/channels", params: [("HOLDFAST_OPERATOR", "1")])
                )
                let number = try pretender.next("w")[1..<9]
                let lines = Array("\(Int.max) a\n\(Int.max) a\n".utf8)
                try pretender.send(Array("W".utf8) + number + lines, to: name)
                let channel = try peer.answer().json["channels"][0]
                return channel["held"].number == Double(Int.max)
            }
            held.socket.close()
        }
    }

    @Test func `each malformed datagram is counted, and not each is told`() throws {
        try HoldfastServer.with { server in
            let pretender = try Pretender(server)
            let name = try pretender.other()
            let bad: [[UInt8]] = [
                [], Array("x".utf8), Array("s12345678".utf8) + [0x63],
                Array("s12345678".utf8) + [UInt8](repeating: 1, count: 17),
                Array("W12345678".utf8) + Array("-1 a\n".utf8),
                Array("W12345678".utf8) + Array("99999999999999999999 a\n".utf8),
                Array("w12345678one line".utf8), Array("h12345678chat x name Ada\n".utf8),
                Array("h12345678-/chat 1 name Ada\n".utf8), Array("h12345678chat 1 Ada\n".utf8),
                [UInt8](repeating: 0x68, count: 65_537),
            ]
            for bytes in bad { try pretender.send(bytes, to: name) }
            try waitUntil("all are counted") {
                try server.metrics()["holdfast_passed_over_total"] == bad.count
            }
            let lines = server.log.split(separator: "\n").filter { $0.contains("is ignored") }
            #expect(lines.count == 1)
        }
    }

    @Test(.enabled(if: Place.isRoot, "needs root, to become somebody else"))
    func `a word of another user ended what a subscriber had asked`() throws {
        try HoldfastServer.with { server in
            let id = "3f0c2d9e-7c1b-4a5e"
            let held = try server.hold("/push/a?wait=25&subscriber=\(id)")
            let bus = server.directory.file("bus")
            let name = try waitFor("the process has a socket") {
                Files.names(in: "\(bus)/processes").first
            }
            for path in [bus, "\(bus)/processes", "\(bus)/processes/\(name)"] { chmod(path, 0o777) }
            // How an id is told: FNV-1a with 64 bits, mixed.
            var hash = id.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
                ($0 ^ UInt64($1)) &* 0x100_0000_01b3
            }
            hash = (hash ^ (hash >> 30)) &* 0xbf58_476d_1ce4_e5b9
            hash = (hash ^ (hash >> 27)) &* 0x94d0_49bb_1331_11eb
            hash ^= hash >> 31
            let program = """
                import os, socket, sys
                os.setgroups([]); os.setgid(65534); os.setuid(65534)
                s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                s.bind(sys.argv[1] + "/99999-abc")
                s.sendto(b"s" + bytes(8) + b"l" + b"\\x7f" * 8 + int(sys.argv[3]).to_bytes(8, "big"),
                         sys.argv[1] + "/" + sys.argv[2])
                """
            let run = try ChildProcess.run(
                try Tool.python.path,
                ["-c", program, "\(bus)/processes", name, "\(hash)"],
                directory: server.directory
            )
            guard run.exit == .exited(0) else { throw HarnessError(run.error) }
            try waitUntil("it is ignored") {
                try server.metrics()["holdfast_passed_over_total"] == 1
            }
            #expect(server.log.contains("its sender runs as user 65534"))
            #expect(try server.metrics().held == 1)
            held.socket.close()
        }
    }
}
