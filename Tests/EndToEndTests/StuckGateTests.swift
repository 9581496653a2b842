import Glibc
import Harness
import Testing

/// A process that is stopped keeps the gate to the log.
@Suite struct StuckGateTests {
    /// Takes the gate to the log and keeps it, as a process does that is frozen inside it.
    private final class StuckGate {
        private let descriptor: Int32

        init(_ server: HoldfastServer) throws {
            descriptor = open(server.directory.file("bus"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard descriptor >= 0, flock(descriptor, LOCK_EX) == 0 else {
                throw HarnessError("cannot take the gate (\(errno))")
            }
        }

        func release() { _ = flock(descriptor, LOCK_UN) }

        deinit { close(descriptor) }
    }

    @Test func `the bound of the publish queue forgot requests that had been answered 503`() throws
    {
        let limits = "[limits]\npublish_queue_messages = 4\n"
        try HoldfastServer.with(HoldfastServer.open + limits) { server in
            server.expectsErrors = true
            try server.publish("news", "opens the log")
            let gate = try StuckGate(server)
            let first = try (1...4).map { number in
                let peer = try server.peer()
                try peer.send(.publish("/push/news", "m\(number)"))
                return peer
            }
            // Four connections are read in any order, and before a fifth only if one waits for that.
            try waitUntil("the queue is full") {
                try server.metrics()["holdfast_pending_requests"] == 4
            }
            #expect(try server.post("/push/news", "refused").status == 503)
            #expect(try server.metrics().bound("publish_queue") == 1)
            for peer in first { #expect(try peer.answer().status == 503) }
            #expect(try server.metrics().bound("publish_time") == 4)
            // They wait in the log's queue nevertheless.
            for refused in 2...6 {
                #expect(try server.post("/push/news", "refused").status == 503)
                #expect(try server.metrics().bound("publish_queue") == refused)
            }
            gate.release()
            try waitUntil("publishes are taken again") {
                try server.post("/push/news", "last").status == 201
            }
            let got = try server.get("/push/news?since=first").json["messages"].array
            let texts = got.map { $0["data"].string ?? "" }
            #expect(!texts.contains("refused"))
            #expect(texts.first == "opens the log")
            #expect(texts.last == "last")
        }
    }

    @Test func `SIGTERM waited for a stuck gate, whatever stop_timeout was`() throws {
        try HoldfastServer.with(fastcgi: ["stop_timeout = 1s"]) { server in
            server.expectsErrors = true
            try server.publish("news", "opens the log")
            let gate = try StuckGate(server)
            let peer = try server.peer()
            try peer.send(.publish("/push/news", "stuck"))
            #expect(try server.get("/push/-/live").status == 200)
            // The gate is given back only after that.
            #expect(try server.stop() == .exited(0))
            gate.release()
        }
    }
}
