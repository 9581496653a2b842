import Glibc
import Harness
import Testing

/// Where a pipe is made: its mode, owner and group, and what else may be at its path.
@Suite struct PipePlaceTests {
    private static let pipe = "bus.pipe"

    @Test func `the pipe has the mode that keeps others from reading`() throws {
        let directory = try TestDirectory()
        let pipe = directory.file(Self.pipe)
        try HoldfastServer.withBus(HoldfastServer.open + "[pipe \(pipe)]\n") { server in
            var info = stat()
            #expect(stat(pipe, &info) == 0)
            #expect(info.st_mode & S_IFMT == S_IFIFO)
            #expect(info.st_mode & 0o7777 == 0o620)
            try Files.remove(pipe)
            try waitUntil("it is made again") { Files.exists(pipe) }
            #expect(try server.shell("printf 'a\\tagain\\n' > \(pipe)").exit == .exited(0))
            try waitUntil("it is published") { try server.texts("a") == ["again"] }
        }
    }

    @Test func `something else at a pipe's path is reported in a sentence`() throws {
        let server = try HoldfastServer(
            HoldfastServer.open + "[pipe \(TestDirectory().path)]\n"
        )
        let path = server.directory.file("file")
        try server.directory.write("", to: "file")
        try server.writeSettings(HoldfastServer.open + "[pipe \(path)]\n")
        try server.launch()
        #expect(try server.process?.wait() == .exited(78))
        #expect(server.log.contains("\(path) is not a named pipe"))
    }

    @Test(.enabled(if: Place.isRoot, "needs root, to be another user"))
    func `a pipe that could not be made was called one of the bus directory`() throws {
        let directory = try TestDirectory()
        for path in [directory.path, try directory.makeDirectory("bus", mode: 0o770)] {
            #expect(chown(path, 65_534, 65_534) == 0)
        }
        let roots = try TestDirectory()
        let server = try HoldfastServer(
            HoldfastServer.open + "[pipe \(roots.file(Self.pipe))]\n",
            prelude: #"exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" "$@""#,
            directory: directory
        )
        // Only root may give the socket to a group.
        let text = Files.text(server.iniFile).replacing("group = www-data\n", with: "")
        try directory.write(text, to: "holdfast.ini")
        try server.launch()
        #expect(try server.process?.wait() == .exited(78))
        #expect(server.log.contains("denied; its directory must be writable for holdfast's user"))
        #expect(!server.log.contains("[bus]"))
    }

    @Test func `an own pipe with too wide a mode was adopted unchanged`() throws {
        let directory = try TestDirectory()
        let path = directory.file(Self.pipe)
        #expect(mkfifo(path, 0o600) == 0 && chmod(path, 0o666) == 0)
        try HoldfastServer.with(HoldfastServer.open + "[pipe \(path)]\n") { _ in
            var info = stat()
            #expect(stat(path, &info) == 0)
            #expect(info.st_mode & 0o7777 == 0o620 && info.st_gid == getegid())
        }
    }

    @Test(.enabled(if: Place.isRoot, "needs root, to give a pipe to somebody else"))
    func `another user's pipe was adopted without a check of its owner`() throws {
        let server = try HoldfastServer()
        let path = server.directory.file(Self.pipe)
        #expect(mkfifo(path, 0o620) == 0 && chown(path, 65_534, gid_t.max) == 0)
        try server.writeSettings(HoldfastServer.open + "[pipe \(path)]\n")
        try server.launch()
        #expect(try server.process?.wait() == .exited(78))
        #expect(server.log.contains("\(path) belongs to user 65534"))
    }

    @Test(
        .enabled(if: Place.isRoot, "needs root, to make a set-group-ID directory of another group")
    )
    func `bus socket and pipes got the group of a set-group-ID directory`() throws {
        let server = try HoldfastServer()
        let directory = try server.directory.makeDirectory("run")
        #expect(chown(directory, 0, 65_534) == 0 && chmod(directory, 0o2755) == 0)
        let socket = "\(directory)/bus.sock"
        try server.writeSettings(
            HoldfastServer.open + "[pipe \(directory)/p]\n",
            bus: ["socket = \(socket)"]
        )
        try server.start()
        try waitUntil("the bus socket") { Files.exists(socket) }
        for path in [socket, "\(directory)/p"] {
            var info = stat()
            #expect(stat(path, &info) == 0 && info.st_gid == getegid())
        }
        try server.finish()
    }
}
